"""A problem in a text that somebody wrote: what is wrong, where, and what to do."""

from ringfence.value import Struct


class Span(Struct):
    """A stretch of one line. Lines and columns count from 1; columns count characters."""

    file: str
    line: int
    column: int
    length: int
    text: str  # the whole line, without its end


class Diagnostic(Struct):
    """One problem, printed the way compilers do."""

    message: str
    span: Span | None = None
    hint: str = ""
    file: str = ""  # where there is a file but no line to point at

    def __str__(self) -> str:
        hint = f"\nhint: {self.hint}\n" if self.hint else ""
        return f"error: {self.message}\n{_place(self)}{hint}"


def _place(problem: Diagnostic) -> str:
    if problem.span is None:
        return f"  --> {problem.file}\n" if problem.file else ""
    span = problem.span
    number = str(span.line)
    gutter = " " * len(number)
    text = span.text.replace("\t", " ")
    pointer = " " * (span.column - 1) + "^" * max(1, span.length)
    return (
        f"{gutter} --> {span.file}:{span.line}:{span.column}\n"
        f"{gutter} |\n"
        f"{number} | {text}\n"
        f"{gutter} | {pointer}\n"
    )
