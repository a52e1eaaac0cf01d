"""A reader and evaluator of Seatbelt profiles, written from Apple's own profiles, not from our renderer.

It knows what our profiles use: literal, subpath, regex, targets, names and addresses; operations with
a trailing `*`; and that the last rule that matches decides. What it does not know is an error.
"""

import re


def read(text):
    """Parse a profile into nested lists; strings become ("s", text)."""
    tokens = _tokens(text)
    forms = []
    while tokens:
        forms.append(_form(tokens))
    return forms


def _tokens(text):
    out, at = [], 0
    while at < len(text):
        letter = text[at]
        if letter in " \t\n":
            at += 1
        elif letter == ";":
            at = text.find("\n", at)
            at = len(text) if at < 0 else at
        elif letter in "()":
            out.append(letter)
            at += 1
        elif letter == '"':
            value, at = _string(text, at + 1)
            out.append(("s", value))
        else:
            end = at
            while end < len(text) and text[end] not in ' \t\n()";':
                end += 1
            out.append(text[at:end])
            at = end
    return out


def _string(text, at):
    """Read a string as Scheme readers do, up to the first quote that is not escaped."""
    out = bytearray()
    while text[at] != '"':
        if text[at] != "\\":
            out += text[at].encode("utf-8")
            at += 1
        elif text[at + 1] == "x":
            out.append(int(text[at + 2 : at + 4], 16))
            at += 4
        else:
            out += {"n": b"\n", "t": b"\t", "r": b"\r"}.get(text[at + 1], text[at + 1].encode())
            at += 2
    return out.decode("utf-8", "surrogateescape"), at + 1


def _form(tokens):
    token = tokens.pop(0)
    if token != "(":
        assert token != ")", "unbalanced"
        return token
    inner = []
    while tokens[0] != ")":
        inner.append(_form(tokens))
    tokens.pop(0)
    return inner


class Profile:
    """A profile that can be asked."""

    def __init__(self, text):
        forms = read(text)
        assert forms[0] == ["version", "1"]
        assert forms[1] == ["deny", "default"]
        self.rules = [_rule(form) for form in forms[2:]]

    def allows(self, operation, subject=""):
        verdict = "deny"
        for how, operations, filters in self.rules:
            if any(_covers(name, operation) for name in operations) and (
                not filters or any(_matches(one, subject) for one in filters)
            ):
                verdict = how
        return verdict == "allow"


def _rule(form):
    assert form[0] in {"allow", "deny"}, form
    operations = [one for one in form[1:] if isinstance(one, str)]
    filters = [one for one in form[1:] if isinstance(one, list)]
    assert operations, form
    assert len(operations) + len(filters) == len(form) - 1, form
    return form[0], operations, filters


def _covers(name, operation):
    return operation.startswith(name[:-1]) if name.endswith("*") else operation == name


def _matches(form, subject):
    kind, value = form[0], form[-1]
    value = value[1] if isinstance(value, tuple) else value
    if kind == "literal":
        return subject == value
    if kind == "subpath":
        return subject == value or subject.startswith(value.rstrip("/") + "/")
    if kind == "regex":
        return (
            re.search(
                value.encode("utf-8", "surrogateescape"),
                subject.encode("utf-8", "surrogateescape"),
                re.DOTALL,
            )
            is not None
        )
    if kind in {"global-name", "sysctl-name", "target"}:
        return subject == value
    if kind == "sysctl-name-prefix":
        return subject.startswith(value)
    if kind in {"remote", "local"}:
        assert form[1] == "ip"
        return subject == value
    raise AssertionError(f"unknown filter {kind}")
