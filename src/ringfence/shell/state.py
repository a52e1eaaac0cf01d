"""What a shell knows while it runs a text: its folder, its variables, its functions, as far as the text says.

Soundness is one-sided. A variable is **certain** only where one straight line leads from a plain assignment
to its use; after a branch, a loop or a function that may set it, it keeps every value that it may have (for
rules that deny) and is certain no more. Folders are sets: after `cd a; …` the shell is in `a` or, where that
failed, where it was. `ok` and `failed` follow the last command's outcome, so that `cd a && …` is certain.

A folder is an absolute path, or relative to a start that nobody named, or None: it cannot be told.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.shell.functions import Function

CANDIDATES = 8  # values that a variable is remembered to have had
FOLDERS = 8  # places where a shell may be, before it counts as anywhere
SHOWN = 64  # variables that a command carries along

Folders = tuple[str | None, ...]


class Variable:
    """Values that a variable may have here."""

    __slots__ = ("certain", "integer", "items", "pattern", "values")

    def __init__(
        self, values: tuple[str, ...], *, certain: bool, integer: bool = False, pattern: str = "",
        items: tuple[str, ...] | None = None,
    ) -> None:  # fmt: skip
        self.values = values
        self.certain = certain  # it is values[0], or these items, and nothing else
        self.items = items  # of an array
        self.integer = integer  # whatever it is, it is a plain integer
        self.pattern = pattern  # its value is a file name that matches this

    def or_else(self, other: "Variable | None") -> "Variable":
        """Return the variable that is this or the other."""
        if other is None:
            return Variable(self.values, certain=False, items=self.items)
        values = tuple(dict.fromkeys(self.values + other.values))[:CANDIDATES]
        integer = self.integer and other.integer
        return Variable(values, certain=False, integer=integer, items=self.items or other.items)


class State:
    """One shell's state; a subshell works on a copy."""

    __slots__ = ("exported", "failed", "folders", "functions", "previous", "shaped", "variables")

    def __init__(self, folder: str | None) -> None:
        self.folders: Folders = (folder if folder is not None else ".",)
        self.failed: Folders = self.folders  # where it is if the last command failed
        self.previous: str | None = None  # $OLDPWD, where the text sets it
        self.variables: dict[str, Variable] = {}  # "@": the positional parameters
        self.shaped: frozenset[str] = frozenset()  # variables with attributes
        self.functions: dict[str, Function] = {}  # defined here

    def copy(self) -> "State":
        """Return a state of its own that starts as this one is."""
        other = State.__new__(State)
        other.folders, other.failed, other.previous = self.folders, self.failed, self.previous
        other.variables, other.shaped = self.variables.copy(), self.shaped
        other.functions = self.functions.copy() if self.functions else {}
        return other

    def fresh(self) -> "State":
        """Return the state of a program that this shell starts: same folder, nothing certain."""
        other = self.copy()
        other.functions = {}
        other.variables.pop("@", None)
        other.forget(other.variables)
        other.settle()
        return other

    def settle(self) -> None:
        """Whether the last command failed no longer matters: the shell is in either place."""
        if self.failed is not self.folders:
            self.folders = union(self.folders, self.failed)
        self.failed = self.folders

    def move(self, folders: Folders) -> None:
        """Go to one of these, whichever way the command ends."""
        self.folders = self.failed = folders

    def set(self, name: str, variable: Variable) -> None:
        """Assign; what an attribute makes of the value (`-i`, `-u`, `readonly`) is not followed."""
        if name in self.shaped:
            variable = variable.or_else(self.variables.get(name))
        self.variables[name] = variable

    def maybe(self, name: str, values: tuple[str, ...] = ()) -> None:
        """Note that a variable may have been set, to one of these or something unknown."""
        new = Variable(values, certain=False)
        old = self.variables.get(name)
        self.variables[name] = new if old is None else new.or_else(old)

    def forget(self, names: "Iterable[str]", *, integers: bool = False) -> None:
        """Make these variables uncertain; with `integers` an integer stays some integer."""
        for name in list(names):
            known = self.variables.get(name)
            if known is not None:
                kept = integers and known.integer
                self.variables[name] = Variable(known.values, certain=False, items=known.items, integer=kept)

    def join(self, others: "list[State]") -> None:
        """Become what any of these branches, or this one, came to."""
        for other in others:
            self.folders = union(self.folders, other.folders, other.failed)
            for name, variable in other.variables.items():
                mine = self.variables.get(name)
                if mine is not variable:
                    self.variables[name] = variable.or_else(mine)
            for name, mine in list(self.variables.items()):
                if name not in other.variables:
                    self.variables[name] = mine.or_else(None)
            self.functions.update(other.functions)
            self.shaped |= other.shaped
        self.folders = union(self.folders, self.failed)
        self.failed = self.folders

    def integer(self, name: str) -> bool:
        """Say whether a variable surely is a plain integer."""
        known = self.variables.get(name)
        return known is not None and known.integer

    def folder(self) -> str | None:
        """Return the absolute folder in which the shell is if all went well; None where it cannot be told."""
        first = self.folders[0]
        return first if first is not None and first.startswith("/") else None


def union(*several: Folders) -> Folders:
    """Return every folder of these, or the unknown one where they are too many."""
    first = several[0]
    if all(folders is first for folders in several):
        return first
    found = tuple(dict.fromkeys(folder for folders in several for folder in folders))
    return found if len(found) <= FOLDERS else (None,)


def joined(folder: str | None, path: str) -> str | None:
    """Return the folder that `cd path` leads to: lexically, as the shell does it; None where unknown."""
    if path.startswith("/"):
        return normal(path)
    return None if folder is None else normal(f"{folder}/{path}")


def normal(path: str) -> str:
    """Take `.`, `..` and doubled slashes out of a path."""
    absolute = path.startswith("/")
    kept: list[str] = []
    for part in path.split("/"):
        if part in {"", "."}:
            continue
        if part == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif part != ".." or not absolute:
            kept.append(part)
    return ("/" if absolute else "") + "/".join(kept) or "."


def inside(folder: str | None, start: str) -> bool:
    """Say whether a folder surely is the start or below it."""
    if folder is None:
        return False
    if start == ".":
        return folder[:1] != "/" and folder.split("/", 1)[0] != ".."
    return folder == start or folder.startswith(start.rstrip("/") + "/")
