"""Exceptions, each named for who must act on it."""


class RingfenceError(Exception):
    """Something that ends the command: what is wrong, and in `hint` what to do about it."""

    status = 125

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def render(self) -> str:
        """Return the text for standard error, ending in a newline."""
        hint = f"\nhint: {self.hint}\n" if self.hint else ""
        return f"error: {self.message}\n{hint}"


class UsageError(RingfenceError):
    """The command line is wrong: the person who typed it must act."""

    status = 2


class PolicyError(RingfenceError):
    """The policy cannot be used: the operator must fix the file. Carries every problem found."""

    def __init__(self, message: str, *, hint: str = "", diagnostics: tuple[object, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = diagnostics

    def render(self) -> str:
        """Return every diagnostic, or the plain message where there is none."""
        if not self.diagnostics:
            return super().render()
        return "\n".join(str(one) for one in self.diagnostics)


class HostError(RingfenceError):
    """The machine lacks something: the operator must fix the machine."""


class BoundaryError(RingfenceError):
    """The boundary could not be built."""


class PeerError(RingfenceError):
    """The agent or an upstream misbehaved: recorded, and the connection closed."""
