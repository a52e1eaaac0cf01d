"""A secret cannot be shown by accident, and what cannot stand in a header is refused at load."""

import copy
import io
import json
import logging
import pickle
import pprint
import traceback

import pytest

from canary import Canary, assert_absent
from ringfence.canonical import encode
from ringfence.credential.secret import MAX_LENGTH, Secret, SourceError
from ringfence.value import Struct, plain

CANARY = Canary("secret", prefix="sk-ant-")


@pytest.fixture
def secret():
    return Secret(CANARY.value, "env:KEY")


def test_only_one_method_gives_it_away(secret):
    assert secret.reveal_for_injection() == CANARY.value


class Holder(Struct):
    secret: Secret


@pytest.mark.guarantee("C2")
def test_no_way_of_printing_shows_it(secret):
    log = io.StringIO()
    logger = logging.getLogger("test of secrets")
    logger.addHandler(logging.StreamHandler(log))
    logger.error("%s %r", secret, [secret])
    texts = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret!s}",
        f"{secret:s}",
        "%s %r" % (secret, (secret,)),  # noqa: UP031 - the old way leaks as well
        pprint.pformat({"a": [secret]}),
        repr(Holder(secret=secret)),
        repr(plain(Holder(secret=secret))),
        log.getvalue(),
        repr(dir(secret)),
        ascii(secret),
    ]
    assert_absent(CANARY, *texts)
    assert str(secret) == "Secret(…)"


def test_no_way_of_storing_takes_it(secret):
    for store in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, encode, vars, bytes, list, len, hash):
        with pytest.raises(TypeError) as error:
            store(secret)
        assert_absent(CANARY, str(error.value))
    assert_absent(CANARY, json.dumps([secret], default=str))


def test_a_traceback_with_local_variables_does_not_show_it(secret):
    held = {"secret": secret}
    try:
        raise RuntimeError(held)  # noqa: TRY301 - the traceback is what is tested
    except RuntimeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert_absent(CANARY, *shown.format())


def test_it_cannot_be_changed(secret):
    for name in ("other", "_Secret__value"):
        with pytest.raises(AttributeError):
            setattr(secret, name, "x")


def test_equality_tells_equal_values_and_nothing_else(secret):
    assert secret == Secret(CANARY.value, "file:/x")
    assert secret != Secret(CANARY.value + "x", "file:/x")
    assert secret != CANARY.value
    assert secret != None  # noqa: E711 - the operator is what is tested
    assert Secret("\xe4" * 4, "x") == Secret("\xe4" * 4, "x")


BAD = {
    "": "is empty",
    "{}\r\nX-Evil: 1": "control character",
    "{}\n": "control character",
    "{}\0": "control character",
    "{}\tx": "control character",
    "{}\x1b": "control character",
    "{}\x7f": "control character",
    "{}\x85": "control character",
    "{}\u2028": "cannot carry",
    "{}🔑": "cannot carry",
    "{}\udcff": "cannot carry",
    " {}": "a space",
    "{} ": "a space",
    "{}" + "x" * MAX_LENGTH: "longer than",
}


@pytest.mark.parametrize("value", sorted(BAD), ids=lambda value: ascii(value[:20]))
def test_what_cannot_stand_in_a_header_is_refused_without_showing_it(value):
    with pytest.raises(SourceError) as error:
        Secret(value.format(CANARY.value), "env:KEY")
    assert BAD[value] in error.value.message
    assert "`env:KEY`" in error.value.message
    assert error.value.hint
    assert_absent(CANARY, error.value.render(), repr(error.value), *traceback.format_exception(error.value))


def test_latin_1_and_spaces_within_are_fine():
    assert Secret("pässwört \xa0 x", "env:KEY").reveal_for_injection() == "pässwört \xa0 x"
