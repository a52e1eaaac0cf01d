"""`workspace:PATH#NAME`: one value of a settings file in the workspace that the agent cannot touch.

The one source that may lie where the agent works, because the file there is hidden from it: what the
agent sees is a copy with placeholders (`credential.keyed`), and the real file can neither be written nor
moved from inside for the whole session. The plan refuses anything else; here the file is judged once
more, by the descriptor that it is read from. No link is followed on the way.
"""

from ringfence.credential import keyed
from ringfence.credential.secret import MAX_LENGTH, SourceError
from ringfence.credential.sources import Access, Reading
from ringfence.credential.sources.dotenv import plain_value


def read(rest: str, access: Access) -> Reading:
    """Return the value."""
    path, _, name = rest.rpartition("#")
    source = f"workspace:{rest}"
    if not access.workspace:
        raise SourceError(f"`{source}`: there is no workspace here", hint="name another source")
    text, problem = keyed.content(access.workspace, path)
    if problem:
        raise SourceError(
            f"`{source}`: {problem}", hint="it is to be a plain file, your own alone: chmod 600"
        )
    json = keyed.is_json(path)
    found = [pair for pair in keyed.pairs(text, json=json) if pair.name == name]
    if len(found) != 1:
        what = "stands there more than once" if found else "is not in the file"
        raise SourceError(f"`{source}`: {name} {what}", hint=f"write {name} once into it")
    (pair,) = found
    if not pair.closed:
        raise SourceError(
            f"`{source}`: a value that does not end on its line", hint="write the value on one line"
        )
    value = _unquoted(text[pair.start : pair.end], pair, source)
    if len(value) > MAX_LENGTH:
        raise SourceError(f"`{source}`: larger than {MAX_LENGTH} bytes", hint="is this a key?")
    return Reading(value)


def _unquoted(written: str, pair: keyed.Pair, source: str) -> str:
    if not pair.json:
        return plain_value(written, pair.quote, source)
    if not pair.quote:
        return written
    import json

    try:
        return str(json.loads(f'"{written}"'))
    except ValueError:
        problem = f"`{source}`: the value is not a JSON string"
    raise SourceError(problem, hint="write it as one")  # outside the handler: the exception holds the value
