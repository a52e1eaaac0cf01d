"""Path rules against canonical paths.

A path is followed one component at a time, as the kernel does: `..` leaves the folder that a link led to,
not the link. Everything passed on the way counts: a rule that denies fires on the path as it was spelled,
on each link, and on where it ends; a rule that allows has to cover the spelling and the end. `/proc/self`
and `/proc/N` are read for what they mean to the command, never followed here: ours would be another's.

What a rule's path starts from is told by its front: `//` the root, `~/` the home folder, `/` the folder of
the settings, anything else the working directory. A bare name, and in rules that deny or ask also `dir/**`,
applies at any depth below it.
"""

from ringfence.verdict import globs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from ringfence.policy.toolrules import ToolRule
    from ringfence.verdict.globs import Segment

    class Files(Protocol):
        """What verdicts ask of a file system; `host.files` is the real one."""

        case_blind: bool

        def link(self, path: str) -> str | None:
            """Return what a symbolic link says, or None where there is none."""

        def is_folder(self, path: str) -> bool:
            """Say whether a path is a folder, links followed."""

        def names(self, folder: str, limit: int) -> tuple[tuple[str, bool], ...] | None:
            """Return each name in a folder and whether it is a folder; None: not known."""


MOST_LINKS = 40  # as the kernel has it
LONGEST_PATH = 4096
MOST_ENTRIES = 20_000  # looked at below one folder
MOST_NAMES = 1_000  # that one pattern of a command may come to
ALLOW = "allow"
_BELOW = "\0"  # a name that no pattern spells: what holds for it holds for everything in the folder


class Route:
    """Where a path leads: each spelling of it on the way."""

    __slots__ = ("certain", "end", "hops", "spelled")

    def __init__(self, spelled: str, end: str, hops: "tuple[str, ...]", *, certain: bool) -> None:
        self.spelled = spelled  # absolute, as written, without `.` and `..`
        self.end = end  # no links left
        self.hops = hops  # everything in between
        self.certain = certain

    def all(self) -> "tuple[str, ...]":
        """Return every path of it, each once."""
        if self.spelled == self.end and not self.hops:
            return (self.end,)
        return tuple(dict.fromkeys((self.spelled, *self.hops, self.end)))


class Sight:
    """The file system from one working directory, asked at most once for each path."""

    def __init__(self, files: "Files", cwd: str, home: str | None, extra: "tuple[str, ...]" = ()) -> None:
        self.files = files
        self.cwd = plain(cwd)
        self.home = None if home is None else plain(home)
        self._links: dict[str, str | None] = {}
        roots = [plain(one) for one in (cwd, *extra) if one.startswith("/")]
        ends = [self.route(one, one).end for one in roots]
        self.roots = tuple(dict.fromkeys((*roots, *ends)))
        self.root_ends = tuple(dict.fromkeys(ends))

    def route(self, path: str, folder: str | None) -> Route:
        """Follow a path from a folder; None: from an unknown one."""
        base = folder if folder is not None else self.cwd
        whole = path if path.startswith("/") else f"{base}/{path}"
        if len(whole) > LONGEST_PATH or "\0" in whole:
            return Route(plain(whole[:LONGEST_PATH]), plain(whole[:LONGEST_PATH]), (), certain=False)
        certain = folder is not None or path.startswith("/")
        end, hops, followed = self._follow(whole, base)
        return Route(plain(whole), end, hops, certain=certain and followed)

    def _follow(self, whole: str, folder: str) -> "tuple[str, tuple[str, ...], bool]":
        todo = whole.split("/")[::-1]
        at = ""
        hops: list[str] = []
        while todo:
            name = todo.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                at = at.rpartition("/")[0]
                continue
            here = f"{at}/{name}"
            target = self._link(here, folder)
            if target is None:
                at = here
                continue
            hops.append(plain("/".join((here, *todo[::-1]))))
            if target == "" or len(hops) > MOST_LINKS:
                return plain("/".join((here, *todo[::-1]))), tuple(hops), False
            if target.startswith("/"):
                at = ""
            todo.extend(target.split("/")[::-1])
        return at or "/", tuple(hops), True

    def _link(self, path: str, folder: str) -> str | None:
        """Return where a link leads; "" where nobody can tell from here."""
        if path.startswith(("/proc/", "/dev/fd")):
            return _of_process(path, folder)
        if path not in self._links:
            self._links[path] = self.files.link(path)
        return self._links[path]

    def inside(self, route: Route) -> bool:
        """Say whether a path starts and ends in the workspace."""
        return _within(route.spelled, self.roots) and _within(route.end, self.root_ends)

    def relative(self, path: str) -> str | None:
        """Return a path within the workspace, or None outside it."""
        for root in self.roots:
            if path == root:
                return "."
            if path.startswith(root.rstrip("/") + "/"):
                return path[len(root.rstrip("/")) + 1 :]
        return None

    def expand(self, pattern: str, folder: str | None) -> "tuple[str, ...] | None":
        """Return the paths that a shell pattern comes to now; None where that is not known."""
        if folder is None and not pattern.startswith("/"):
            return None
        prefixes = ["/"] if pattern.startswith("/") else [""]
        pieces = [piece for piece in pattern.split("/") if piece]
        for number, piece in enumerate(pieces):
            read = globs.segment(piece)
            if isinstance(read, str):
                prefixes = [f"{prefix}{read}" for prefix in prefixes]
            else:
                grown = self._matching(prefixes, read, folder)
                if grown is None:
                    return None
                prefixes = grown
            if number < len(pieces) - 1:
                prefixes = [f"{prefix}/" for prefix in prefixes]
        return tuple(prefixes)

    def _matching(self, prefixes: list[str], wild: object, folder: str | None) -> list[str] | None:
        grown: list[str] = []
        for prefix in prefixes:
            place = prefix if prefix.startswith("/") else f"{folder}/{prefix}"
            names = self.files.names(place, MOST_ENTRIES)
            if names is None:
                return None
            grown.extend(f"{prefix}{name}" for name, _ in names if globs.could_be(wild, name))
            if len(grown) > MOST_NAMES:
                return None
        return grown


def plain(path: str) -> str:
    """Return an absolute path without empty, `.` and `..` segments, as text: links are not asked about."""
    if not path.startswith("/"):
        path = "/" + path
    if "//" not in path and "/." not in path and (path[-1] != "/" or path == "/"):
        return path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def _within(path: str, roots: "Iterable[str]") -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _of_process(path: str, folder: str) -> str | None:
    """Read the links of /proc for the command: its root is the root, its folder is where it runs."""
    if path == "/dev/fd":
        return "/proc/self/fd"
    parts = path.split("/")[2:]
    if len(parts) > 3 and parts[1] == "task":
        parts = [parts[0], *parts[3:]]
    if len(parts) != 2 or not (parts[0].isdigit() or parts[0] in {"self", "thread-self"}):
        return None
    if parts[1] == "root":
        return "/"
    if parts[1] == "cwd" and not parts[0].isdigit():
        return folder
    return "" if parts[1] in {"cwd", "exe"} else None


# --- rules


class PathRule:
    """A rule about paths, made absolute."""

    __slots__ = ("folded", "key", "number", "pattern", "rule", "wild")

    def __init__(self, rule: "ToolRule", number: int, cwd: str, home: str | None) -> None:
        self.rule = rule
        self.number = number
        self.pattern = absolute(rule, cwd, home)
        self.folded = globs.fold(self.pattern)
        self.key = next((one for one in reversed(self.folded) if isinstance(one, str)), "")
        behind = self.folded[::-1]
        behind = behind[: behind.index(self.key)] if self.key else behind
        self.wild = any(one is not globs.DEEP for one in behind)  # its key alone does not find what it means


def absolute(rule: "ToolRule", cwd: str, home: str | None) -> "tuple[Segment, ...]":
    """Return the segments of a rule's path from the root on. A home that is not known could be any."""
    text = rule.specifier
    if text is None:
        return (globs.DEEP,)
    if text.startswith("//"):
        return _anchored("/", text)
    if text == "~" or text.startswith("~/"):
        if home is None:
            return () if rule.effect == ALLOW else (globs.DEEP, *globs.split(text[1:]))
        return _anchored(home, text[1:])
    if text.startswith("/"):
        return _anchored(rule.base or cwd, text)
    if text.startswith("../") or "/../" in text:
        return _anchored("/", plain(f"{cwd}/{text}"))
    dotted = text.startswith("./")
    inner = globs.split(text)
    root = tuple(part for part in cwd.split("/") if part)
    bare = len(inner) == 1 and inner[0] is not globs.DEEP
    below = len(inner) == 2 and inner[1] is globs.DEEP and inner[0] is not globs.DEEP
    if rule.effect == ALLOW:
        return (*root, globs.DEEP, *inner) if bare and not dotted else (*root, *inner)
    return (*root, globs.DEEP, *inner) if bare or below else (*root, *inner)


def _anchored(root: str, text: str) -> "tuple[Segment, ...]":
    return (*[part for part in root.split("/") if part], *globs.split(text))


class PathRules:
    """Rules of one effect and tool, found by a name that their path has to hold."""

    def __init__(self, rules: "Sequence[ToolRule]", cwd: str, home: str | None) -> None:
        self.rules = tuple(PathRule(rule, number, cwd, home) for number, rule in enumerate(rules))
        self.by_name: dict[str, list[PathRule]] = {}
        self.others: list[PathRule] = []
        for one in self.rules:
            (self.by_name.setdefault(one.key, []) if one.key else self.others).append(one)
        self.single = len(self.rules) <= 4  # looking them up would cost more
        self.wild = any(one.wild for one in self.rules)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def _about(self, parts: "Sequence[str]") -> "Sequence[PathRule]":
        if self.single:
            return self.rules
        found = [one for part in parts for one in self.by_name.get(globs.folded(part), ())]
        found.extend(self.others)
        found.sort(key=lambda one: one.number)
        return found

    def meant(self, path: str, *, blind: bool = False) -> "ToolRule | None":
        """Return the first rule that means a path or a folder that holds it; blind: whatever the case."""
        parts = _parts(path)
        if blind:
            parts = [globs.folded(part) for part in parts]
        for one in self._about(parts):
            if globs.matches(one.folded if blind else one.pattern, parts):
                return one.rule
        return None

    def meant_or_all_below(self, path: str, *, blind: bool = False) -> "ToolRule | None":
        """Return the first rule that means a path, or everything in it as a folder."""
        return self.meant(path, blind=blind) or self.meant(f"{path}/{_BELOW}", blind=blind)

    def could_mean(self, pattern: str) -> "ToolRule | None":
        """Return the first rule that could mean what a shell pattern comes to. The pattern is absolute."""
        parts = globs.split(pattern)
        for one in self.rules:
            if globs.matches(one.pattern, parts) or globs.matches(one.pattern, (*parts, _BELOW)):
                return one.rule
        return None

    def below(
        self, folder: str, files: "Files", *, hidden: bool = True
    ) -> "tuple[str, ToolRule | None] | None":
        """Find what a rule means below a folder. `("", None)`: there is too much to look through."""
        if files.names(folder, MOST_ENTRIES) == ():  # empty, or not there yet: what rules place in it counts
            return self._named_below(folder, hidden=hidden)
        left = MOST_ENTRIES
        todo = [folder]
        while todo:
            place = todo.pop()
            names = files.names(place, left)
            if names is None:
                return "", None
            left -= len(names)
            for name, is_folder in names:
                if not hidden and name.startswith("."):
                    continue
                path = f"{place.rstrip('/')}/{name}"
                rule = (
                    self.meant_or_all_below(path) if self.wild or globs.folded(name) in self.by_name else None
                )
                if rule is not None:
                    return path, rule
                if is_folder:
                    todo.append(path)
        return None

    def _named_below(self, folder: str, *, hidden: bool) -> "tuple[str, ToolRule | None] | None":
        """Find a path below a folder that a rule spells out, whether or not it is there."""
        front = _parts(folder)
        for one in self.rules:
            names = [part for part in one.pattern if part is not globs.DEEP]
            inner = names[len(front)] if len(names) > len(front) and names[: len(front)] == front else None
            if isinstance(inner, str) and (hidden or not inner.startswith(".")):
                return f"{folder}/{inner}", one.rule
        return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]
