"""Reads a script of `sed` for what it does besides editing: files read and written, commands run.

The grammar is GNU's, wherever it differs from POSIX the more dangerous reading counts: after a label,
commands are looked for behind `;`, and text of `a`, `i`, `c` ends at a line's end unless it is escaped.
"""

_PLAIN = frozenset("dDgGhHnNpPxzF=")
_NUMBER = frozenset("lLqQ")
_LABEL = frozenset("btT:")
_TEXT = frozenset("aic")
_FLAGS = frozenset("gpiImM0123456789")
_CLASSES = (".", ":", "=")
_SEPARATORS = " \t\n;"


class Script:
    """What a script does besides editing."""

    __slots__ = ("reads", "runs", "unread", "writes")

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.writes: list[str] = []
        self.runs: list[str] = []  # commands; "": what is edited is the command
        self.unread = ""  # what was not understood


class _NotUnderstoodError(Exception):
    """The script has something that this reader does not know."""


class _Reader:
    """Goes through a script once, from left to right."""

    def __init__(self, text: str, *, brackets: bool) -> None:
        self.text = text
        self.at = 0
        self.brackets = brackets
        self.script = Script()

    def peek(self) -> str:
        """Return the character at the place, or ""."""
        return self.text[self.at : self.at + 1]

    def skip(self, characters: str) -> None:
        """Go on past these characters."""
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1

    def line(self) -> str:
        """Take the rest of the line."""
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        taken, self.at = self.text[self.at : end], end
        return taken

    def digits(self) -> bool:
        """Take a number, if one stands here."""
        start = self.at
        while self.peek().isdigit():
            self.at += 1
        return self.at > start

    def delimited(self, delimiter: str) -> str:
        """Take what stands before the next delimiter that is not escaped."""
        start = self.at
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char == "\\":
                self.at += 2
                continue
            if char == delimiter:
                self.at += 1
                return text[start : self.at - 1]
            if char == "[" and self.brackets:
                self.bracket()
                continue
            self.at += 1
        raise _NotUnderstoodError("a delimiter is missing")

    def bracket(self) -> None:
        """Go past a bracket expression, or past the bracket alone where none ends it."""
        text = self.text
        end = self.at + 1
        if text[end : end + 1] == "^":
            end += 1
        end += 1  # a first `]` stands for itself
        if text[end - 1 : end] == "[" and text[end : end + 1] in _CLASSES:
            end -= 1
        while end < len(text) and text[end] != "]":
            kind = text[end + 1 : end + 2]
            close = text.find(kind + "]", end + 2) if text[end] == "[" and kind in _CLASSES else -1
            end = close + 2 if close >= 0 else end + 1
        self.at = end + 1 if end < len(text) else self.at + 1

    def addresses(self) -> None:
        """Take the addresses before a command."""
        if self.address():
            self.skip(" \t")
            if self.peek() == ",":
                self.at += 1
                self.skip(" \t")
                if self.peek() in {"+", "~"}:
                    self.at += 1
                if not self.address():
                    raise _NotUnderstoodError("the second address")
        self.skip(" \t!")

    def address(self) -> bool:
        """Take one address, if one stands here."""
        char = self.peek()
        if char.isdigit():
            self.digits()
            if self.peek() == "~":
                self.at += 1
                self.digits()
            return True
        if char == "$":
            self.at += 1
            return True
        if char not in {"/", "\\"} or not char:
            return False
        self.at += 1
        delimiter = char
        if char == "\\":
            delimiter = self.peek()
            self.at += 1
            if not delimiter or delimiter in "\n\\":
                raise _NotUnderstoodError("an address")
        self.delimited(delimiter)
        self.skip("IM")
        return True

    def command(self) -> None:
        """Take one command with its addresses."""
        self.addresses()
        char = self.peek()
        self.at += 1
        if not char or char in "{}\n;":
            return
        if char == "#":
            self.line()
        elif char in _PLAIN:
            self.end()
        elif char in _NUMBER:
            self.skip(" \t")
            self.digits()
            self.end()
        elif char in _LABEL:
            self.skip(" \t")
            while self.peek() and self.peek() not in "\n;}":
                self.at += 1
        elif char in _TEXT:
            self.added()
        elif char == "s":
            self.substitute()
        elif char == "y":
            self.transliterate()
        elif char in "rRwWe":
            self.file(char)
        elif char == "v":
            self.line()
        else:
            raise _NotUnderstoodError(f"the command {char!r}")

    def end(self) -> None:
        """Come to the end of a command."""
        self.skip(" \t")
        if self.peek() and self.peek() not in "\n;}#":
            raise _NotUnderstoodError("something behind a command")

    def added(self) -> None:
        """Take the text of `a`, `i` or `c`: to the end of the line, escaped line ends included."""
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 2 if char == "\\" else 1
            if char == "\n":
                return

    def substitute(self) -> None:
        """Take `s/…/…/flags`."""
        delimiter = self.peek()
        self.at += 1
        if not delimiter or delimiter in "\n\\":
            raise _NotUnderstoodError("a delimiter")
        self.delimited(delimiter)
        self.replacement(delimiter)
        while self.peek() and self.peek() not in "\n;}# \t":
            flag = self.peek()
            self.at += 1
            if flag == "w":
                self.file("w")
                return
            if flag == "e":
                self.script.runs.append("")
            elif flag not in _FLAGS:
                raise _NotUnderstoodError(f"the flag {flag!r}")
        self.end()

    def replacement(self, delimiter: str) -> None:
        """Take the right side, in which brackets mean nothing."""
        kept, self.brackets = self.brackets, False
        self.delimited(delimiter)
        self.brackets = kept

    def transliterate(self) -> None:
        """Take `y/…/…/`."""
        delimiter = self.peek()
        self.at += 1
        if not delimiter or delimiter in "\n\\":
            raise _NotUnderstoodError("a delimiter")
        self.replacement(delimiter)
        self.replacement(delimiter)
        self.end()

    def file(self, command: str) -> None:
        """Take the rest of the line as the name of a file, or as a command."""
        rest = self.line().strip(" \t")
        if command == "e":
            self.script.runs.append(rest)
        elif command in "rR":
            self.script.reads.append(rest)
        else:
            self.script.writes.append(rest)


def read(text: str, *, brackets: bool = False) -> Script:
    """Read a script. What is not understood is named in `unread`; what stands before it counts."""
    reader = _Reader(text, brackets=brackets)
    try:
        while reader.at < len(text):
            reader.skip(_SEPARATORS + "}")
            if reader.at < len(text):
                reader.command()
    except _NotUnderstoodError as problem:
        reader.script.unread = str(problem)
    return reader.script
