"""What a file may say, field by field."""

import tomllib

import pytest

from ringfence.policy import forms, model
from ringfence.policy.decode import decode, fields


def wrong(text: str, kind: str = "user") -> list[tuple[tuple[object, ...], str]]:
    _, problems = decode(tomllib.loads(text), kind)
    return [(problem.path, problem.message) for problem in problems]


def right(text: str, kind: str = "user") -> dict:
    layer, problems = decode(tomllib.loads(text), kind)
    assert problems == []
    return layer


def test_every_field_of_the_model_has_a_form():
    written = {model.Policy, *forms.FORMS}
    for cls in written:
        for name in fields(cls):
            from ringfence.policy.decode import shape

            if shape(cls.__annotations__[name])[0] in {"table", "rules", "named"}:
                continue
            assert name in forms.FORMS[cls], (cls, name)
    for cls, known in forms.FORMS.items():
        assert set(known) <= set(fields(cls))


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("egress = 1", ("egress",), "expected a table, found a number"),
        ("credentials = []", ("credentials",), "expected tables such as `[credentials.NAME]`, found a list"),
        ("[credentials]\nk = 1", ("credentials", "k"), "expected a table, found a number"),
        ("use = [1]", ("use", 0), "expected a name, found a number"),
        ("use = 2020-01-01", ("use",), "expected a name, found a date or time"),
        (
            "[environment]\nset = 1",
            ("environment", "set"),
            "expected a table of names and values, found a number",
        ),
        (
            "use = ['Claude']",
            ("use", 0),
            "`Claude`: a name is made of lower-case letters, digits, `-` and `_`",
        ),
        ("[egress]\nallow=['a.b/x//y']", ("egress", "allow", 0), "`/x//y`: a path has neither `//` nor `#`"),
        (
            "[egress]\nallow=['a.b/é']",
            ("egress", "allow", 0),
            "`/é`: a path is written percent-encoded, as in a URL",
        ),
        ("[credentials.k]\nprefix='é'", ("credentials", "k", "prefix"), "`é`: a header's value is ASCII"),
        (
            "[credentials.k]\nsource='command: '",
            ("credentials", "k", "source"),
            "`command: `: the command is empty",
        ),
        (
            "[gateways.g]\nupstream='https://a.b/*'",
            ("gateways", "g", "upstream"),
            "`https://a.b/*`: an upstream's prefix is no pattern and has no query",
        ),
        ("[limits]\nwall_time = -1", ("limits", "wall_time"), "`-1`: this is a number above 0"),
        ("[limits]\nprocesses = 0", ("limits", "processes"), "`0`: this is a number above 0"),
        ("[limits]\nprocesses = true", ("limits", "processes"), "expected a number, found true or false"),
        ("[limits]\ncpus = nan", ("limits", "cpus"), "`nan`: this is a number above 0"),
        ("[limits]\ncpus = inf", ("limits", "cpus"), "`inf`: this is a number above 0"),
        (
            "[egress]\nproxy_variables = 1",
            ("egress", "proxy_variables"),
            "expected true or false, found a number",
        ),
        (
            "[[egress.allow]]\nhost='a.b'\nports=[0]",
            ("egress", "allow", 0, "ports", 0),
            "`0`: a port is a number from 1 to 65535",
        ),
        (
            "[[egress.allow]]\nhost='a.b'\nmethods=['CONNECT']",
            ("egress", "allow", 0, "methods", 0),
            "`CONNECT`: CONNECT is never forwarded, so no rule can be about it",
        ),
        (
            "[[egress.allow]]\nhost='a.b'\nschemes=['ftp']",
            ("egress", "allow", 0, "schemes", 0),
            "`ftp`: expected `https`, `http` or `tcp`",
        ),
        (
            "[[egress.allow]]\nhost='a.b'\norigin='managed policy'",
            ("egress", "allow", 0, "origin"),
            "unknown key `origin`",
        ),
        (
            "[egress]\nallow=['a.b/../c']",
            ("egress", "allow", 0),
            "`/../c`: a pattern has no `.` or `..` segments",
        ),
        (
            "[egress]\nallow=['a.b:0x50']",
            ("egress", "allow", 0),
            "`a.b:0x50`: a port is a number from 1 to 65535",
        ),
        ("[egress]\nallow=['user@a.b']", ("egress", "allow", 0), "`user@a.b`: a host name never holds `@`"),
        (
            "[egress]\nallow=[7]",
            ("egress", "allow", 0),
            'expected a rule (a table, or text such as "api.github.com"), found a number',
        ),
        (
            "[egress.static]\n'a.b' = 'c.d:1'",
            ("egress", "static", "a.b"),
            "`c.d:1`: this is an address, or address:port, such as 127.0.0.1:8443",
        ),
        (
            "[egress.static]\n'*.b' = '1.2.3.4:1'",
            ("egress", "static", "*.b"),
            "`*.b`: a host name never holds `*`",
        ),
        (
            "[egress.static]\n'a.b' = '1.2.3.4:1'\n'A.b' = '1.2.3.4:2'",
            ("egress", "static", "A.b"),
            "`a.b` stands here twice",
        ),
        (
            "[files]\nread=['.ssh']",
            ("files", "read", 0),
            "`.ssh`: a path here is absolute or starts with `~/`",
        ),
        ("[files]\nread=['/a/../etc']", ("files", "read", 0), "`/a/../etc`: a path here has no `..`"),
        (
            "[files]\nread=['~root/x']",
            ("files", "read", 0),
            "`~root/x`: a path here is absolute or starts with `~/`",
        ),
        ("[files]\nread=['/a/*']", ("files", "read", 0), "`/a/*`: a path here is no pattern"),
        ("[files]\nstate=['/var/x']", ("files", "state", 0), "`/var/x`: kept state is a folder under `~/`"),
        (
            "[environment]\nkeep=['*']",
            ("environment", "keep", 0),
            "`*`: `*` alone would take over the whole environment: name variables, or a PREFIX*",
        ),
        (
            "[environment.set]\n'A B' = 'x'",
            ("environment", "set", "A B"),
            "`A B`: a variable's name is made of letters, digits and `_`",
        ),
        (
            '[environment.set]\nA = "x\\ny"',
            ("environment", "set", "A"),
            "`x\\x0ay`: control characters do not belong here",
        ),
        (
            "[credentials.k]\nsource='safe:x'",
            ("credentials", "k", "source"),
            "`safe:x`: a source is one of env:…, file:…, command:…, keyring:…, dotenv:…, vault:…, aws-sm:…, systemd:…, workspace:…",
        ),
        (
            "[credentials.k]\nsource='file:key'",
            ("credentials", "k", "source"),
            "`file:key`: a path here is absolute or starts with `~/`",
        ),
        (
            "[credentials.k]\nsource='command:pass \"x'",
            ("credentials", "k", "source"),
            '`command:pass "x`: the command cannot be split into words: no closing quotation',
        ),
        (
            "[credentials.k]\nhost='a.*'",
            ("credentials", "k", "host"),
            "`a.*`: a host name never holds `*`",
        ),
        (
            "[credentials.k]\nheader='Host'",
            ("credentials", "k", "header"),
            "`Host`: `host` belongs to the gate",
        ),
        (
            "[credentials.k]\nheader='a:b'",
            ("credentials", "k", "header"),
            "`a:b`: a header's name is a word such as authorization",
        ),
        (
            '[credentials.k]\nprefix="a\\r\\nX: y"',
            ("credentials", "k", "prefix"),
            "`a\\x0d\\x0aX: y`: control characters do not belong here",
        ),
        (
            "[gateways.g]\nupstream='http://a.b'",
            ("gateways", "g", "upstream"),
            "`http://a.b`: an upstream is written as https://host, with a port and a prefix if need be",
        ),
        (
            "[gateways.g]\nupstream='https://u:p@a.b'",
            ("gateways", "g", "upstream"),
            "`https://u:p@a.b`: no user or password belongs into a URL: declare a credential for the host",
        ),
        (
            "[gateways.a_b]\nupstream='https://a.b'",
            ("gateways", "a_b"),
            "`a_b` becomes part of a host name: letters, digits and `-` only",
        ),
        ("[gateways.g]", ("gateways", "g"), "this gateway has no `upstream`"),
        ("indexes = {pip = 'pypi.org'}", ("indexes",), "unknown key `indexes`"),
        (
            "[workspace]\nmask=['a\\\\*']",
            ("workspace", "mask", 0),
            "`a\\\\*`: a pattern has no escapes: every character but `*` and `?` is literal",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_place(text, path, message):
    assert wrong(text) == [(path, message)]


def test_a_wrong_lock_is_told():
    choices = ", ".join(f"`{one}`" for one in forms.LOCKABLE[:-1])
    assert wrong("[managed]\nlock = ['x']\nopen = 1", "managed") == [
        (("managed", "open"), "unknown key `open`"),
        (
            ("managed", "lock", 0),
            f"`x`: expected {choices} or `{forms.LOCKABLE[-1]}`",
        ),
    ]
    assert wrong("managed = 1", "managed") == [(("managed",), "expected a table, found a number")]


def test_presets_name_the_indexes_they_know():
    assert right("[indexes]\npip = ['PyPI.org.']", "preset") == {"indexes": {"pip": ("pypi.org",)}}
    assert wrong("[indexes]\nfoo = ['pypi.org']", "preset")
    assert wrong("indexes = 1", "preset")


@pytest.mark.parametrize(
    ("short", "rule"),
    [
        ("API.GitHub.com.", {"host": "api.github.com"}),
        ("a.test:8443", {"host": "a.test", "ports": (8443,)}),
        ("http://a.test", {"host": "a.test", "schemes": ("http",)}),
        (
            "https://a.test:8443/v1/**",
            {"host": "a.test", "schemes": ("https",), "ports": (8443,), "paths": ("/v1/**",)},
        ),
        ("a.test/", {"host": "a.test"}),
        ("GET a.test", {"host": "a.test", "methods": ("GET",)}),
        ("get, head a.test/x", {"host": "a.test", "methods": ("GET", "HEAD"), "paths": ("/x",)}),
        ("10.0.0.0/8", {"host": "10.0.0.0/8"}),
        ("10.0.0.1:80/8", {"host": "10.0.0.1", "ports": (80,), "paths": ("/8",)}),
        ("fd00::/8", {"host": "fd00::/8"}),
        ("::1", {"host": "::1"}),
        ("[::1]:8443", {"host": "::1", "ports": (8443,)}),
        ("*.a.test", {"host": "*.a.test"}),
    ],
)
def test_a_rule_in_short_is_the_rule_at_length(short, rule):
    layer, problems = decode({"egress": {"allow": [short]}}, "user")
    assert problems == []
    assert layer["egress"]["allow"] == (rule,)


@pytest.mark.parametrize("short", ["exa mple.com", "my host.test", "Get,foo a.test"])
def test_a_blank_inside_a_host_is_not_taken_for_a_method(short):
    _layer, problems = decode({"egress": {"allow": [short]}}, "user")
    assert [one for one in problems if "is not a method" in str(one)], problems


def test_values_are_brought_into_their_one_spelling():
    layer = right("""
use = "claude"
[files]
read = ["~", "~/a//b/./c/", "/x/", "/x"]
[egress]
allow = "a.test"
[limits]
memory = "1.5G"
file_size = 10
wall_time = 90
processes = "unlimited"
[credentials.k]
source = "env:K"
header = "X-Api-Key"
strip = "Authorization"
[gateways.g]
upstream = "HTTPS://A.test:443/v1/"
[gateways.h]
upstream = "https://[2001:db8::1]:8443"
""")
    assert layer == {
        "use": ("claude",),
        "files": {"read": ("~", "~/a/b/c", "/x")},
        "egress": {"allow": ({"host": "a.test"},)},
        "limits": {"memory": 3 * 2**29, "file_size": 10, "wall_time": 90.0, "processes": None},
        "credentials": {"k": {"source": "env:K", "header": "x-api-key", "strip": ("authorization",)}},
        "gateways": {
            "g": {"upstream": "https://a.test/v1"},
            "h": {"upstream": "https://[2001:db8::1]:8443"},
        },
    }


def test_a_guess_is_offered():
    _, problems = decode({"egres": {}, "workspace": {"mode": "Read-Only"}, "zzz": 1}, "user")
    known = "known here: `use`, `tier`, `accept`, `workspace`, `files`, `egress`, "
    assert [problem.hint for problem in problems] == [
        "did you mean `egress`?",
        "did you mean `readonly`?",
        known
        + "`credentials`, `gateways`, `environment`, `limits`, `budgets`, `model`, `watch`, `review`, "
        + "`commands`, `tools`, `container`",
    ]
