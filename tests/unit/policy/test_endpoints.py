"""Static addresses, nameservers and the upstream proxy: one spelling each, or a reason."""

import pytest

from ringfence.errors import PolicyError
from ringfence.policy import endpoints
from ringfence.policy.build import build


@pytest.mark.parametrize(
    ("check", "given", "wanted"),
    [
        (endpoints.static, "10.0.0.5", "10.0.0.5"),
        (endpoints.static, "10.0.0.5:8443", "10.0.0.5:8443"),
        (endpoints.static, "FD00::5", "fd00::5"),
        (endpoints.static, "[fd00:0::5]:8443", "[fd00::5]:8443"),
        (endpoints.static, "[fd00::5]", "fd00::5"),
        (endpoints.static_name, "API.corp.example.", "api.corp.example"),
        (endpoints.static_name, "db.corp.example:5432", "db.corp.example:5432"),
        (endpoints.nameserver, "10.0.0.53", "10.0.0.53:53"),
        (endpoints.nameserver, "fd00::53", "[fd00::53]:53"),
        (endpoints.nameserver, "[fd00::53]:5353", "[fd00::53]:5353"),
        (endpoints.proxy, "HTTP://Proxy.Corp", "http://proxy.corp:3128"),
        (endpoints.proxy, "socks5://[fd00::1]/", "socks5://[fd00::1]:1080"),
        (endpoints.proxy, "http://CORP%5Cuser@10.0.0.1:8080", "http://CORP%5Cuser@10.0.0.1:8080"),
    ],
)
def test_what_can_be_meant_has_one_spelling(check, given, wanted):
    assert check(given) == wanted
    assert check(wanted) == wanted


@pytest.mark.parametrize(
    ("check", "given"),
    [
        *(
            (endpoints.static, one)
            for one in ("a.b", "a.b:1", "10.0.0.5:0", "10.0.0.5:", "10.0.0:1", "", "::g")
        ),
        *((endpoints.static_name, one) for one in ("*.b", "a b", "a.b:0", "a.b:x", "")),
        *((endpoints.nameserver, one) for one in ("ns.corp", "ns.corp:53", "10.0.0.53:99999")),
        *(
            (endpoints.proxy, one)
            for one in (
                *(
                    "proxy.corp:3128",
                    "ftp://proxy.corp",
                    "http://",
                    "http://a b",
                    "http://u:secret@proxy.corp",
                ),
                *("http://@proxy.corp", "http://u%@proxy.corp", "http://u%0a@proxy.corp", "http://a@b@proxy"),
                *("http://proxy.corp/path", "http://proxy.corp:0", "http://u%3asecret@proxy.corp"),
            )
        ),
    ],
)
def test_what_cannot_is_refused(check, given):
    with pytest.raises(ValueError, match=r"\w"):
        check(given)


def test_a_static_address_has_the_port_that_was_asked_for_or_its_own():
    assert endpoints.split_static("10.0.0.5", 443) == ("10.0.0.5", 443)
    assert endpoints.split_static("10.0.0.5:8443", 443) == ("10.0.0.5", 8443)
    assert endpoints.split_static("fd00::5", 443) == ("fd00::5", 443)
    assert endpoints.split_static("[fd00::5]:8443", 443) == ("fd00::5", 8443)


def test_a_proxys_url_comes_apart():
    assert endpoints.split_proxy("http://CORP%5Cme@[fd00::1]:8080") == ("http", "CORP\\me", "fd00::1", 8080)
    assert endpoints.split_proxy("socks5://proxy.corp:1080") == ("socks5", "", "proxy.corp", 1080)


@pytest.mark.parametrize(
    ("egress", "said"),
    [
        ({"proxy": "http://me@proxy.corp:3128"}, "the proxy's user has no password"),
        ({"proxy_password": "env:P"}, "there is a password and no user"),
        ({"proxy": "http://proxy.corp:3128", "proxy_password": "env:P"}, "there is a password and no user"),
    ],
)
def test_user_and_password_of_a_proxy_stand_together(egress, said):
    with pytest.raises(PolicyError) as caught:
        build({"egress": egress}, ())
    assert said in caught.value.render()


def test_the_proxys_password_is_not_kept_inside():
    egress = {"proxy": "http://me@proxy.corp:3128", "proxy_password": "env:PROXY_PASSWORD"}
    with pytest.raises(PolicyError) as caught:
        build({"egress": egress, "environment": {"keep": ("PROXY_*",)}}, ())
    assert "PROXY_PASSWORD" in caught.value.render()
