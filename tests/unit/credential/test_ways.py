"""Each way into a request, as a pure change of one: its place, what is taken out of it, what is refused."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.credential import inject, placeholder
from ringfence.credential.inject import UnfitError
from ringfence.credential.inject.cookie import returned
from ringfence.credential.inject.placeholder import _at
from ringfence.credential.secret import Document, Secret, SourceError
from ringfence.policy import kinds
from ringfence.policy.model import Credential

KEY = "real-key-0123456789"
SECRET = Secret(KEY, "env:KEY")
FAKE = "sk-ringfence-placeholder-0001"


def credential(kind, **fields):
    return Credential(name="key", source="env:KEY", host="api.example", kind=kind, **fields)


def outgoing(*fields, path="/", query="", body=None):
    made = inject.Outgoing(
        method="POST",
        scheme="https",
        host="api.example",
        port=443,
        path=path,
        query=query,
        fields=list(fields),
        framing=len(body or b""),
    )
    made.body = body
    return made


def put(one, *fields, **request):
    made = outgoing(*fields, **request)
    inject.apply(made, one, SECRET)
    return made


def refused(one, *fields, **request):
    with pytest.raises(UnfitError) as error:
        put(one, *fields, **request)
    assert KEY not in error.value.message
    return error.value


def basic(pair):
    return b"Basic " + base64.b64encode(pair.encode())


def test_every_kind_has_a_way():
    assert inject.WAYS.keys() == kinds.KINDS.keys()


@pytest.mark.parametrize("kind", ["bearer", "oauth", "google"])
def test_tokens_are_bearers_unless_a_prefix_says_otherwise(kind):
    assert put(credential(kind)).fields == [(b"authorization", f"Bearer {KEY}".encode())]
    assert put(credential(kind, prefix="token ")).fields == [(b"authorization", f"token {KEY}".encode())]


@pytest.mark.parametrize(
    ("one", "path", "query", "value"),
    [
        (credential("basic", user="me"), "/", "", basic(f"me:{KEY}")),
        (credential("basic"), "/", "", basic(f"{KEY}:")),
        (credential("git"), "/a/b/git-upload-pack", "", basic(f"x-access-token:{KEY}")),
        (credential("github-app"), "/repos/a/b", "", f"Bearer {KEY}".encode()),
        (
            credential("github-app"),
            "/a/b.git/info/refs",
            "?service=git-receive-pack",
            basic(f"x-access-token:{KEY}"),
        ),
    ],
)
def test_user_and_password_stand_in_one_header(one, path, query, value):
    made = put(one, (b"Authorization", b"mine"), path=path, query=query)
    assert made.fields == [(b"authorization", value)]
    assert inject.carried(one) == ("authorization",)


def test_a_credential_for_git_is_wanted_by_git_only():
    one = credential("git")
    assert inject.wanted(one, "/a/b.git/info/refs", "?service=git-upload-pack")
    assert inject.wanted(one, "/a/b.git/info/lfs/objects/batch", "")
    assert not inject.wanted(one, "/a/b.git/info/refs", "")
    assert not inject.wanted(one, "/login", "")
    assert inject.wanted(credential("bearer"), "/login", "")


def test_a_client_certificate_changes_no_request():
    assert put(credential("mtls"), (b"a", b"b")).fields == [(b"a", b"b")]
    assert not inject.carries(credential("mtls"), [(b"authorization", b"x")], "?a=b")


def test_what_must_not_come_back_is_named_part_by_part():
    def shown(one, secret=SECRET):
        return [part.reveal_for_injection() for part in inject.parts(one, secret)]

    assert shown(credential("bearer")) == [KEY]
    assert shown(credential("basic", user="me")) == [KEY, KEY, basic(f"me:{KEY}")[6:].decode()]
    whole = Secret(f"me:{KEY}", "x")
    assert shown(credential("basic"), whole) == [f"me:{KEY}", KEY, basic(f"me:{KEY}")[6:].decode()]
    assert shown(credential("basic")) == [KEY, basic(f"{KEY}:")[6:].decode()]
    keys = Document(
        '{"AccessKeyId": "AKIAREAL", "SecretAccessKey": "the-secret", "SessionToken": "the-token"}', "x"
    )
    assert shown(credential("aws"), keys) == ["the-secret", "the-token"]
    assert shown(credential("mtls"), Document("pem", "x")) == []


# --- query

NAMES = st.text("abKEYkey%256b5B[]; &=+", max_size=14)


@settings(max_examples=150, deadline=None)
@given(st.lists(NAMES, max_size=4))
def test_no_reading_of_a_query_finds_another_value_for_the_key(pairs):
    from urllib.parse import parse_qsl, unquote

    made = put(credential("query", field="key"), query="?" + "&".join(pairs))
    text = made.query[1:]
    assert text.endswith(f"key={KEY}")
    for separator in "&;":
        for reading in (text, unquote(text)):
            found = [
                v
                for n, v in parse_qsl(reading, keep_blank_values=True, separator=separator)
                if n.lower() == "key"
            ]
            assert found in ([KEY], []) or separator == ";"
            assert not [value for value in found if value != KEY and separator == "&"]


def test_a_query_key_is_noticed_where_there_is_no_secret_for_it():
    one = credential("query", field="key")
    assert inject.carries(one, [], "?a=1&k%65y=2")
    assert not inject.carries(one, [], "?a=key")
    assert not inject.carries(one, [], "")


# --- cookie


def test_a_cookie_is_noticed_cleared_and_kept_apart_from_others():
    one = credential("cookie", field="session")
    assert inject.carries(one, [(b"Cookie", b"a=1; session=x")], "")
    assert not inject.carries(one, [(b"Cookie", b"a=1"), (b"x", b"session=1")], "")
    made = outgoing((b"Cookie", b"session=x"))
    inject.clear(made, one)
    assert made.fields == []
    made = outgoing((b"a", b"1"))
    inject.clear(made, one)
    assert made.fields == [(b"a", b"1")]


@pytest.mark.parametrize("value", ["a;b=c", "a b c", 'a"bc', "a,b,c"])
def test_a_value_that_would_end_the_cookie_is_refused(value):
    with pytest.raises(SourceError, match="no cookie can carry"):
        inject.apply(outgoing(), credential("cookie", field="session"), Secret(value, "env:KEY"))


def test_a_new_value_for_the_cookie_is_taken_out_of_an_answer():
    fields = [(b"Set-Cookie", b"Session=new; Path=/"), (b"set-cookie", b"a=1"), (b"session", b"x")]
    assert returned(fields, credential("cookie", field="session")) == fields[1:]


# --- placeholders


def places(*written, **fields):
    return credential("placeholder", places=written, placeholder=FAKE, **fields)


def test_a_placeholder_is_replaced_where_it_stands_alone():
    made = put(places("header:x-key"), (b"X-Key", FAKE.encode()), (b"a", b"1"))
    assert made.fields == [(b"X-Key", KEY.encode()), (b"a", b"1")]
    made = put(places("header:authorization"), (b"Authorization", b"Bearer " + FAKE.encode()))
    assert made.fields == [(b"Authorization", f"Bearer {KEY}".encode())]
    assert put(places("query:k"), query=f"?a&k={FAKE}").query == f"?a&k={KEY}"
    assert put(places("query:k")).query == ""
    assert put(places("header:x-key", "query:k"), query="?a").query == "?a"


def test_without_one_in_the_policy_the_default_placeholder_counts():
    one = credential("placeholder", places=("header:x-key",))
    made = put(one, (b"x-key", placeholder.default(one).encode()))
    assert made.fields == [(b"x-key", KEY.encode())]


@pytest.mark.parametrize(
    "value", [b"", b"mine", FAKE.encode() * 2, b"a b " + FAKE.encode(), FAKE.encode() + b" "]
)
def test_another_value_in_its_header_is_refused(value):
    assert refused(places("header:x-key"), (b"x-key", value)).status == 403


def test_what_stands_in_a_place_is_noticed_and_refused_where_another_credential_is_used():
    one = places("header:x-key", "query:k", "json:/a")
    assert inject.carries(one, [(b"X-Key", b"")], "")
    assert inject.carries(one, [], "?k=1")
    assert not inject.carries(one, [(b"a", b"")], "?b")
    assert inject.in_body(one)
    assert not inject.in_body(places("header:a"))
    assert not inject.in_body(credential("bearer"))
    inject.clear(outgoing(), one)
    for made in (outgoing((b"x-key", b"x")), outgoing(query="?k"), outgoing(body=b"{}")):
        with pytest.raises(UnfitError):
            inject.clear(made, one)


JSON = (b"content-type", b"application/vnd.api+json; charset=utf-8")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\/é\n', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.text("ab~/", max_size=2), VALUES, max_size=3), st.booleans())
def test_of_a_json_body_one_field_changes_and_no_other_byte(data, ascii_only):
    data = {**data, "auth": {"token": FAKE}}
    body = json.dumps(data, ensure_ascii=ascii_only, indent=1).encode()
    made = put(places("json:/auth/token"), JSON, body=body)
    assert made.body == body.replace(FAKE.encode(), KEY.encode())
    assert json.loads(made.body)["auth"]["token"] == KEY


def test_a_secret_is_escaped_for_the_json_and_the_form_it_stands_in():
    odd = Secret('a"b\\c&d=e é', "env:KEY")
    made = outgoing(JSON, body=json.dumps({"t": FAKE}).encode())
    inject.apply(made, places("json:/t"), odd)
    assert json.loads(made.body) == {"t": 'a"b\\c&d=e é'}
    made = outgoing((b"content-type", b"application/x-www-form-urlencoded"), body=f"t={FAKE}".encode())
    inject.apply(made, places("form:t"), odd)
    assert made.body == b"t=a%22b%5Cc%26d%3De+%C3%A9"


@pytest.mark.parametrize(
    "body",
    [
        b'{"t": "another"}',
        b'{"t": null}',
        b'{"t": ["%b"]}' % FAKE.encode(),
        b'{"t": "%b", "t": "%b"}' % (FAKE.encode(), FAKE.encode()),
        b'{"t": "%b", "u": NaN}' % FAKE.encode(),
        b'{"t": "%b", "%b": 1}' % (FAKE.encode(), FAKE.encode()),
        b'{"t": "%b"} x' % FAKE.encode(),
        b'\xef\xbb\xbf{"t": "%b"}' % FAKE.encode(),
        f'{{"t": "{FAKE}"}}'.encode("utf-16"),
        b'{"t": "\\u0073%b"}' % FAKE[1:].encode(),
        b"",
    ],
)
def test_a_json_body_that_can_be_read_in_two_ways_is_refused(body):
    assert refused(places("json:/t"), JSON, body=body).status == 403


def test_a_compressed_body_is_refused_and_a_plain_one_passes():
    assert refused(places("json:/t"), (b"content-encoding", b"gzip"), body=b"x").status == 415
    assert put(places("json:/t"), body=b"plain").body == b"plain"
    assert put(places("form:t"), body=b"t=1").body == b"t=1"  # it does not say that it is a form


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/a/b", 1), ("/l/0", 2), ("/l/1/x", 3), ("/~01", 4), ("/a~1b", 5), ("/", 6),
        ("/l/00", None), ("/l/-", None), ("/l/9", None), ("/l/99999999999", None), ("/a/b/c", None), ("/z", None),
    ],
)  # fmt: skip
def test_pointers_lead_where_rfc_6901_says(pointer, found):
    data = {"a": {"b": 1}, "l": [2, {"x": 3}], "~1": 4, "a/b": 5, "": 6}
    got = _at(data, pointer)
    assert got == found if found else not isinstance(got, (int, dict, list))


# --- placeholders that look like the real thing


@pytest.mark.parametrize(
    ("one", "prefix", "length"),
    [
        (credential("github-app"), "ghs_", 40),
        (credential("google"), "ya29.", 220),
        (credential("aws"), "AKIA", 20),
    ],
)
def test_minted_tokens_have_the_look_of_their_issuer(one, prefix, length):
    value = placeholder.default(one)
    assert value.startswith(prefix)
    assert len(value) == length


def test_what_the_agent_brings_in_a_header_is_noticed_in_every_spelling():
    one = credential("bearer", strip=("X-Extra",))
    assert inject.carried(one) == ("authorization", "x-extra")
    assert inject.carries(one, [(b"AUTHORIZATION ", b"x")], "")
    assert inject.carries(one, [(b"x-extra", b"x")], "")
    assert not inject.carries(one, [(b"x-authorization", b"x")], "?authorization=x")
    inject.clear(outgoing((b"a", b"b")), one)


def test_the_agents_other_cookies_become_one_field():
    made = put(credential("cookie", field="session"), (b"Cookie", b"a=1; session=x"), (b"cookie", b"b=2"))
    assert made.fields == [(b"cookie", f"a=1; b=2; session={KEY}".encode())]
    cleared = outgoing((b"Cookie", b"a=1; session=x"))
    inject.clear(cleared, credential("cookie", field="session"))
    assert cleared.fields == [(b"cookie", b"a=1")]


def test_a_form_without_the_field_passes():
    made = put(places("form:t"), (b"content-type", b"application/x-www-form-urlencoded"), body=b"a=1&b")
    assert made.body == b"a=1&b"
