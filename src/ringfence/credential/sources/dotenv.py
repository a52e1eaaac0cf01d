"""`dotenv:PATH#NAME`: one variable of a `.env` file that lies outside the workspace.

Lines are `NAME=value`, `export NAME=value`, quoted by ' or ", or comments. Programs disagree about the
rest, so what could be read in two ways is an error: a name that stands twice, a quote that does not
close on its line, and `$(…)` or `${…}` in a value that some would expand.
"""

import re

from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, Reading, expand
from ringfence.credential.sources.file import content

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read(rest: str, access: Access) -> Reading:
    """Return the variable's value."""
    path, _, name = rest.rpartition("#")
    source = f"dotenv:{rest}"
    text = content(source, expand(path, access.home), access.workspace)
    found = [match.group(2) for line in text.splitlines() if (match := _named(line, name))]
    if len(found) != 1:
        what = "stands there more than once" if found else "is not in the file"
        raise SourceError(f"`{source}`: {name} {what}", hint=f"write {name}=… on one line of it")
    return Reading(_value(found[0], source))


def _named(line: str, name: str) -> "re.Match[str] | None":
    match = _LINE.fullmatch(line.strip())
    return match if match and match.group(1) == name else None


def _value(written: str, source: str) -> str:
    mark = written[:1]
    if mark == "'":
        return _closed(written, mark, source)
    if mark == '"':
        value = re.sub(r"\\(.)", _unescaped, _closed(written, mark, source))
    else:
        value = re.split(r"\s#", written)[0].rstrip() if not written.startswith("#") else ""
    _refuse_expression(written, source)
    return value


def plain_value(inner: str, mark: str, source: str) -> str:
    """Return the value of what stands between quotes, or without any."""
    if mark[:1] == "'":
        return inner
    _refuse_expression(inner, source)
    return re.sub(r"\\(.)", _unescaped, inner) if mark else inner


def _refuse_expression(written: str, source: str) -> None:
    if "$(" in written or "${" in written or "`" in written:
        raise SourceError(
            f"`{source}`: the value holds an expression, which is not expanded here",
            hint="write the value itself, in single quotes",
        )


def _closed(written: str, mark: str, source: str) -> str:
    """Return what stands between quotes; behind them there may be a comment."""
    inside = r"[^']*" if mark == "'" else r'(?:[^"\\]|\\.)*'
    match = re.fullmatch(rf"{mark}({inside}){mark}\s*(?:#.*)?", written)
    if match is None:
        raise SourceError(
            f"`{source}`: a quote that does not close on its line", hint="write the value on one line"
        )
    return match.group(1)


def _unescaped(match: "re.Match[str]") -> str:
    return _ESCAPES.get(match.group(1), match.group(0))
