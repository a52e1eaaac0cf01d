"""Reading the handover: JSON from a sealed memfd into the values it was made of."""

import contextlib
import inspect
import json
import os
import types
import typing

from ringfence.errors import HostError
from ringfence.handover import Handover
from ringfence.value import Struct

LARGEST = 64 * 1024 * 1024


def read(fd: int) -> Handover:
    """Read the handover and close its descriptor."""
    try:
        text = _read_all(fd)
        handover: Handover = decode(Handover, json.loads(text))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HostError(
            f"the egress process got no usable configuration: {error}",
            hint="it is started by `ringfence run`, not by hand",
        ) from error
    return handover


def environment(fd: int | None) -> dict[str, str]:
    """Read the variables that `env:` sources name, and close the descriptor."""
    if fd is None:
        return {}
    try:
        found = json.loads(_read_all(fd))
    except (OSError, ValueError) as error:
        # `from None`: a decoder's error carries the text it could not read.
        raise HostError(f"the egress process got no usable secrets: {type(error).__name__}") from None
    return {str(name): str(value) for name, value in found.items()}


def _read_all(fd: int) -> bytes:
    """Read from where the descriptor stands; a memfd just written stands at its end, so it is rewound."""
    with contextlib.suppress(OSError):  # a pipe or socket
        os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb") as file:
        return file.read(LARGEST)


def decode(kind: typing.Any, value: typing.Any) -> typing.Any:
    """Build a value of an annotated kind from JSON's own kinds."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _tuple(arguments, value)
    if origin in {types.UnionType, typing.Union}:
        inner = next(one for one in arguments if one is not type(None))
        return None if value is None else decode(inner, value)
    if isinstance(kind, type) and issubclass(kind, Struct):
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, got {type(value).__name__}")
        hints = _hints(kind)
        return kind(**{name: decode(hints[name], item) for name, item in value.items()})
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _tuple(arguments: tuple[typing.Any, ...], value: typing.Any) -> tuple[typing.Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(decode(arguments[0], item) for item in value)
    if len(arguments) != len(value):
        raise TypeError(f"expected {len(arguments)} items, got {len(value)}")
    return tuple(decode(one, item) for one, item in zip(arguments, value, strict=True))


def _hints(kind: type[Struct]) -> dict[str, typing.Any]:
    """Return the annotations of a struct and its bases."""
    found: dict[str, typing.Any] = {}
    for one in reversed(kind.__mro__):
        found.update(inspect.get_annotations(one))
    return found
