"""Where in a text a key and its value stand: for the caret of an error message.

Neither `tomllib` nor `json` tells, and a policy is only looked at this closely once it has a problem. So
this walks a text that the real parser has accepted, checks nothing, and notes the stretch of every key
and value by its path: ("egress", "allow", 0, "host").
"""

from ringfence.diagnostic import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    Key = tuple["str | int", ...]
    Stretch = tuple[int, int]  # offsets into the text: from, to

_BLANK = " \t"
_SPACE = " \t\r\n"
_ESCAPES = {
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "f": "\f",
    "r": "\r",
    '"': '"',
    "\\": "\\",
    "/": "/",
    "e": "\x1b",
}
_ESCAPES_BY_NUMBER = {"u": 4, "U": 8, "x": 2}


class Positions:
    """The stretches found, by key path; `twice` are keys of a JSON object that came before."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: dict[Key, Stretch] = {}
        self.values: dict[Key, Stretch] = {}
        self.twice: list[tuple[Key, Stretch]] = []

    def find(self, path: "Key", *, name: bool) -> "Stretch | None":
        """Return where the key (or else its value) stands, or the nearest thing around it."""
        first, second = (self.names, self.values) if name else (self.values, self.names)
        for length in range(len(path), 0, -1):
            found = first.get(path[:length]) or second.get(path[:length])
            if found:
                return found
        return None


def toml(text: str) -> Positions:
    """Find everything in a TOML text that `tomllib` accepts."""
    found = Positions(text)
    _Toml(found).document()
    return found


def json(text: str) -> Positions:
    """Find everything in a JSON text that `json` accepts."""
    found = Positions(text)
    _Json(found).value((), 0)
    return found


def span(text: str, file: str, stretch: "Stretch") -> Span:
    """Turn offsets into the line and columns of a diagnostic; what goes on for lines is cut to its first."""
    start, end = stretch
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    line = text[begin : len(text) if stop < 0 else stop].rstrip("\r")
    return Span(
        file=file,
        line=text.count("\n", 0, start) + 1,
        column=start - begin + 1,
        length=max(1, min(end, begin + len(line)) - start),
        text="".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in line),
    )


class _Toml:
    def __init__(self, found: Positions) -> None:
        self.found = found
        self.text = found.text
        self.at = 0
        self.last: dict[Key, int] = {}  # arrays of tables: the index of the last one

    def document(self) -> None:
        table: Key = ()
        while self.skip(_SPACE):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def skip(self, space: str) -> bool:
        """Step over blanks and comments; say whether anything is left."""
        while self.at < len(self.text):
            if self.text[self.at] in space:
                self.at += 1
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
                if "\n" not in space:
                    return True
            else:
                return True
        return False

    def header(self) -> "Key":
        many = self.text.startswith("[[", self.at)
        start = self.at
        self.at += 2 if many else 1
        names = self.key()
        self.skip(_BLANK)
        self.at += 2 if many else 1
        path = self.resolve(names, through_last=not many)
        if many:
            self.last[path] = self.last.get(path, -1) + 1
            self.found.names.setdefault(path, (start, self.at))
            path = (*path, self.last[path])
        self.found.names.setdefault(path, (start, self.at))
        return path

    def resolve(self, names: "list[tuple[str, Stretch]]", *, through_last: bool) -> "Key":
        path: Key = ()
        for number, (name, where) in enumerate(names):
            path = (*path, name)
            self.found.names.setdefault(path, where)
            if path in self.last and (through_last or number < len(names) - 1):
                path = (*path, self.last[path])
        return path

    def key(self) -> "list[tuple[str, Stretch]]":
        names = []
        while True:
            self.skip(_BLANK)
            start = self.at
            if self.text[start] in "\"'":
                name, self.at = _string(self.text, start)
            else:
                while self.text[self.at : self.at + 1].isalnum() or self.text[self.at : self.at + 1] in (
                    "-",
                    "_",
                ):
                    self.at += 1
                name = self.text[start : self.at]
            names.append((name, (start, self.at)))
            self.skip(_BLANK)
            if self.text[self.at] != ".":
                return names
            self.at += 1

    def pair(self, table: "Key") -> None:
        path = table
        for name, where in self.key():
            path = (*path, name)
            self.found.names.setdefault(path, where)
        self.at += 1  # the equals sign
        self.skip(_BLANK)
        self.value(path)

    def value(self, path: "Key") -> None:
        start, char = self.at, self.text[self.at]
        if char in "\"'":
            _, self.at = _string(self.text, start)
        elif char == "[":
            self.array(path)
        elif char == "{":
            self.inline(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self.at += 1
            self.at = start + len(self.text[start : self.at].rstrip())
        self.found.values[path] = (start, self.at)

    def array(self, path: "Key") -> None:
        self.at += 1
        index = 0
        while self.skip(_SPACE) and self.text[self.at] != "]":
            self.value((*path, index))
            index += 1
            self.skip(_SPACE)
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1

    def inline(self, path: "Key") -> None:
        self.at += 1
        while self.skip(_SPACE) and self.text[self.at] != "}":
            self.pair(path)
            self.skip(_SPACE)
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1


class _Json:
    def __init__(self, found: Positions) -> None:
        self.found = found
        self.text = found.text

    def value(self, path: "Key", at: int) -> int:
        """Note the value at `at`, and return where it ends."""
        start = at = self.skip(at)
        char = self.text[at]
        if char == '"':
            _, at = _string(self.text, at)
        elif char in "{[":
            at = self.inside(path, at + 1, "}" if char == "{" else "]")
        else:
            while at < len(self.text) and self.text[at] not in ",]} \t\r\n":
                at += 1
        self.found.values[path] = (start, at)
        return at

    def inside(self, path: "Key", at: int, close: str) -> int:
        index = 0
        while self.text[at := self.skip(at)] != close:
            inner: Key = (*path, index)
            if close == "}":
                inner, at = self.name(path, at)
            at = self.skip(self.value(inner, at))
            index += 1
            if self.text[at] == ",":
                at += 1
        return at + 1

    def name(self, path: "Key", at: int) -> "tuple[Key, int]":
        name, end = _string(self.text, at)
        inner = (*path, name)
        if inner in self.found.names:
            self.found.twice.append((inner, (at, end)))
        self.found.names[inner] = (at, end)
        return inner, self.skip(end) + 1

    def skip(self, at: int) -> int:
        while at < len(self.text) and self.text[at] in _SPACE:
            at += 1
        return at


def _string(text: str, at: int) -> tuple[str, int]:
    """Read a string of either language; return its value and where it ends."""
    quote = text[at]
    if text.startswith(quote * 3, at):
        return _long_string(text, at, quote)
    parts: list[str] = []
    at += 1
    while text[at] != quote:
        if text[at] == "\\" and quote == '"':
            part, at = _escape(text, at + 1)
        else:
            part, at = text[at], at + 1
        parts.append(part)
    return "".join(parts), at + 1


def _long_string(text: str, at: int, quote: str) -> tuple[str, int]:
    """Skip a multi-line string; its value is never a key, so it does not matter."""
    at += 3
    while not text.startswith(quote * 3, at):
        at += 2 if text[at] == "\\" and quote == '"' else 1
    end = at + 3
    while text.startswith(quote, end) and end - at < 5:  # up to two quotes may stand before the closing three
        end += 1
    return "", end


def _escape(text: str, at: int) -> tuple[str, int]:
    digits = _ESCAPES_BY_NUMBER.get(text[at], 0)
    if digits:
        return chr(int(text[at + 1 : at + 1 + digits], 16)), at + 1 + digits
    return _ESCAPES.get(text[at], ""), at + 1
