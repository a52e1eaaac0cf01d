"""The base of every value type: a frozen struct that costs microseconds to declare.

Dataclasses and msgspec cost the launcher 15 ms and more at import, a third of its whole budget, so
the few things needed of them are here: keyword-only construction, defaults, no edits afterwards,
equality, a readable repr, and the field table that `policy.decode` checks input against and
`policy.schema` renders as JSON Schema.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T", bound="Struct")
else:

    def dataclass_transform(**_: object):  # noqa: ANN201 - typing costs 8 ms; only checkers need the real one
        """Stand in for `typing.dataclass_transform` at run time."""
        return lambda cls: cls


class _Required:
    """Marks a field that has no default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
_set = object.__setattr__


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=True)
class Struct:
    """A frozen value with named fields, declared as annotations."""

    __fields__: "dict[str, Any]" = {}  # noqa: RUF012 - replaced, never changed, in each subclass; name -> default, or REQUIRED

    def __init_subclass__(cls) -> None:
        """Collect the fields of the class, those of its bases first."""
        fields = dict(cls.__fields__)
        for name in cls.__annotations__:
            if not name.startswith("__"):
                fields[name] = cls.__dict__.get(name, REQUIRED)
        cls.__fields__ = fields

    def __init__(self, **given: object) -> None:
        fields = self.__fields__
        values = {**fields, **given}  # in the order of declaration, and this struct's own
        if len(values) > len(fields):
            unknown = [name for name in given if name not in fields]
            raise TypeError(f"{type(self).__name__} has no field {', '.join(unknown)}")
        if len(given) < len(fields):
            for name, value in values.items():
                if value is REQUIRED:
                    raise TypeError(f"{type(self).__name__} needs {name}=")
        _set(self, "__dict__", values)

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({inside})"


def build(kind: "type[T]", values: "dict[str, Any]") -> "T":
    """Make a struct of all its fields in the order of declaration, unchecked: for what every request makes.

    The dictionary becomes the struct's own.
    """
    made = object.__new__(kind)
    _set(made, "__dict__", values)
    return made


def replace(value: "T", **changes: object) -> "T":
    """Return a copy of `value` with some fields changed."""
    return type(value)(**{**value.__dict__, **changes})


def plain(value: object) -> "Any":
    """Turn structs, tuples and sets into JSON's own kinds; a mapping's keys become strings."""
    if isinstance(value, Struct):
        return {name: plain(item) for name, item in value.__dict__.items()}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    return value
