"""The targets of `fuzz/`, without atheris: what was found once, sound inputs, and some hundred mutations of each."""

import os
import random
import sys

import pytest

FUZZ = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "fuzz")
sys.path.insert(0, FUZZ)

from seeds import seeds  # noqa: E402 - the folder is no package
from targets import TARGETS  # noqa: E402

EXECUTIONS = 300
BYTES = (
    b"\r\n",
    b"\0",
    b"\n",
    b"\r",
    b" ",
    b"0",
    b"\xff",
    b":",
    b"%2f",
    b"chunked",
    b"\x7f",
    b"{",
    b'"',
    b"\\u0000",
)


def mutated(rng, found):
    """Return an input with something flipped, cut out, doubled, put in, or joined with another."""
    data = bytearray(rng.choice(found))
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        match rng.randint(0, 5):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randint(0, 7)
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case 2:
                data[at:at] = data[at : at + rng.randint(1, 30)]
            case 3:
                data[at:at] = rng.choice(BYTES)
            case 4:
                other = rng.choice(found)
                data[at:] = other[rng.randint(0, len(other)) :]
            case _:
                data[at:at] = rng.randbytes(rng.randint(1, 4))
    return bytes(data[:4096])


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_is_found_no_more(name):
    for one in seeds(name):
        TARGETS[name](one)


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_what_is_sound_break_no_law(name):
    rng = random.Random(f"ringfence {name}")
    found = seeds(name)
    for _ in range(EXECUTIONS):
        data = mutated(rng, found)
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(f"{name} breaks on {data!r}") from error
