"""The value of a credential, wrapped so that it cannot be shown by accident.

Printing, formatting, pickling, copying into JSON: none gives the value. One method does, and its
name says what it is for. Only the egress process ever holds a secret.
"""

from ringfence.errors import RingfenceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MIN_LENGTH = 4  # characters; a shorter one would stand in innocent text, so no answer could be scrubbed of it
MAX_LENGTH = 32 * 1024  # characters; headers longer than this are refused by most servers anyway
SHOWN = "Secret(…)"


class SourceError(RingfenceError):
    """A credential's source gave nothing that can be used: the operator must act."""


class Secret:
    """A value that goes into a request and nowhere else."""

    __slots__ = ("__value",)
    _advice = "store the bare value, on one line"

    def __init__(self, value: str, source: str) -> None:
        """Check that the value can stand in a header; `source` is named in the error, the value never."""
        problem = self._problem(value)
        if problem:
            raise SourceError(f"the secret from `{source}` {problem}", hint=self._advice)
        self.__value = value

    @staticmethod
    def _problem(value: str) -> str:
        return _in_a_header(value)

    def reveal_for_injection(self) -> str:
        """Return the value, for the one place that writes it into a request."""
        return self.__value

    def __eq__(self, other: object) -> bool:
        """Compare in a time that does not depend on the values."""
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        return compare_digest(self.__value.encode(), other.reveal_for_injection().encode())

    __hash__ = None  # type: ignore[assignment] # a hash would be a way to test guesses

    def __repr__(self) -> str:
        return SHOWN

    def __str__(self) -> str:
        return SHOWN

    def __format__(self, _: str) -> str:
        return SHOWN

    def __reduce_ex__(self, _: object) -> "NoReturn":
        raise TypeError("a secret cannot be pickled or copied")

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, "_Secret__value"):
            raise AttributeError("a secret cannot be changed")
        super().__setattr__(name, value)


class Document(Secret):
    """A secret of several lines that is never sent as it is: a private key, or JSON with several values."""

    __slots__ = ()
    _advice = "store the file as it was issued, as plain text"

    @staticmethod
    def _problem(value: str) -> str:
        if not value.strip():
            return "is empty"
        if len(value) > MAX_LENGTH:
            return f"is longer than {MAX_LENGTH} characters"
        if any(character < " " and character not in "\r\n\t" for character in value):
            return "holds a control character"
        return ""


def _in_a_header(value: str) -> str:
    """Say why a value cannot stand in a header (RFC 9110 §5.5), or nothing."""
    if not value:
        return "is empty"
    if len(value) < MIN_LENGTH:
        return f"is shorter than {MIN_LENGTH} characters: answers could not be scrubbed of it"
    if len(value) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if any(character < " " or "\x7f" <= character < "\xa0" for character in value):
        return "holds a control character (a line break, a tab, NUL, …)"
    if any(character > "\xff" for character in value):
        return "holds a character that HTTP headers cannot carry"
    if value != value.strip():
        return "begins or ends with a space"
    return ""
