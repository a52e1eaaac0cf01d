"""How the source is allowed to hang together (STYLE.md), read from its syntax trees: nothing is imported.

Imports point one way. A name stands for a module or folder directly under `ringfence`; what stands
in one row may not import what stands in its own row or in a later one.
"""

import ast
import os
from collections.abc import Iterator

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "src", "ringfence")

ROWS = [
    {"value"},
    {"errors", "diagnostic", "subject", "canonical", "cache", "strict"},
    {"policy", "shell", "host"},
    {"handover", "approval", "verdict", "workspace", "credential", "audit"},
    {"boundary", "egress"},
    {"deploy", "preparation", "deeds"},
    {"session"},
    {"aio", "bench", "pool", "broker", "fleet", "verify", "ui", "integrations"},
    {"cli"},
]
# Names of one row that stand in an order of their own: the left one is what the right one is made of.
WITHIN = {
    ("errors", "diagnostic"),
    ("errors", "subject"),
    ("canonical", "cache"),
    ("handover", "credential"),
    ("handover", "audit"),
}
EVERYWHERE = {""}  # the package itself holds the version

ASYNC = ("egress/", "aio.py", "integrations/claude_agent_sdk.py")
ENVIRONMENT = ("host/probe.py", "credential/sources/", "verify/attacks/")  # attacks run inside
PROCESSES = (
    "boundary/attached.py",  # Podman, for as long as a container runs
    "boundary/container.py",
    "boundary/furnish.py",  # the helper, part of which stays for published ports
    "boundary/launch.py",
    "boundary/child.py",  # what launch forks, up to bubblewrap
    "boundary/furnish.py",  # what makes sockets in a container
    "boundary/vending.py",  # what makes sockets inside
    "boundary/seatbelt_launch.py",  # macOS
    "workspace/crew.py",  # this process, once for each CPU, to share work on files
    "boundary/mounts.py",  # a child that only holds a user namespace, for id-mapping
    "credential/sources/command.py",
    "host/features.py",
    "host/podman.py",  # which has no daemon to be asked
    "host/runtimes.py",  # asks a runtime for its version
    "host/trials.py",
    "workspace/review/viewer.py",  # the operator's own pager and viewer
    "pool/platform.py",  # a server, for a program that opens a pool
    "pool/server.py",  # its own copies, each the launcher of one session
    "integrations/codex_trust.py",  # the operator's own Codex, which is told to run our hook
    "verify/",
    "bench/",  # the sessions that it measures, through the command line like anybody's
)
STARTS = {
    "fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "popen",
    "execv", "execve", "execvp", "execvpe", "execl", "execle", "execlp", "execlpe",
}  # fmt: skip
LONGEST = 450


class Module:
    """One file of the package, parsed."""

    def __init__(self, path: str) -> None:
        self.path = os.path.relpath(path, PACKAGE)
        with open(path, encoding="utf-8") as file:
            self.source = file.read()
        self.tree = ast.parse(self.source, path)
        name = self.path.removesuffix(".py").replace(os.sep, ".").removesuffix("__init__").rstrip(".")
        self.name = f"ringfence.{name}".rstrip(".")
        self.area = name.partition(".")[0]


def modules() -> list[Module]:
    """Return every module of the package."""
    return [
        Module(os.path.join(folder, name))
        for folder, _, names in sorted(os.walk(PACKAGE))
        for name in sorted(names)
        if name.endswith(".py")
    ]


MODULES = modules()


def imports(tree: ast.AST, *, lazy: bool = True) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of everything imported; with lazy=False only what import time runs."""
    for node in ast.walk(tree) if lazy else at_import_time(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a module without entering functions or `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        yield child
        yield from at_import_time(child)


def row(area: str) -> int:
    """Return the row in which a name stands."""
    return next((number for number, names in enumerate(ROWS) if area in names), -1)


def allowed(importer: str, imported: str) -> bool:
    """Say whether one name under `ringfence` may import another."""
    if importer in {"", imported} or imported in EVERYWHERE:
        return True
    return row(imported) < row(importer) or (imported, importer) in WITHIN


def in_any(path: str, places: tuple[str, ...]) -> bool:
    """Say whether a file lies in one of these places."""
    return path.startswith(places)


@pytest.mark.parametrize(
    ("importer", "imported", "verdict"),
    [
        ("policy", "cli", False),
        ("policy", "host", False),
        ("egress", "boundary", False),
        ("subject", "diagnostic", False),
        ("verdict", "policy", True),
        ("cli", "verify", True),
        ("policy", "policy", True),
    ],
)
def test_the_rule_itself_can_say_no(importer, imported, verdict):
    assert allowed(importer, imported) == verdict


def test_every_name_has_a_row():
    assert {module.area for module in MODULES if module.area and row(module.area) < 0} == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_imports_point_one_way(module):
    wrong = [
        f"{module.path}:{line} imports {name}"
        for line, name in imports(module.tree)
        if name.startswith("ringfence.") and not allowed(module.area, name.split(".")[1])
    ]
    # The package's own `__init__` gives the version and nothing else of ours.
    assert [one for one in wrong if not one.endswith("ringfence.__version__")] == []


def test_imports_make_no_circle():
    names = {module.name for module in MODULES}
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        found = edges.setdefault(module.name, set())
        for _, name in imports(module.tree, lazy=False):
            target = name if name in names else name.rpartition(".")[0]
            # A package's `__init__` is imported with each of its modules; that alone is no circle.
            if target in names and not module.name.startswith(f"{target}.") and target != "ringfence":
                found.add(target)
    assert circle(edges) == []


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Return what is left when modules that import nothing left are taken away, again and again."""
    left = {name: set(targets) for name, targets in edges.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def test_a_circle_would_be_found():
    assert circle({"a": {"b"}, "b": {"a"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_only_the_egress_process_knows_asyncio(module):
    if in_any(module.path, ASYNC):
        return
    assert [line for line, name in imports(module.tree) if name.split(".")[0] in {"asyncio", "uvloop"}] == []
    assert [
        node.lineno for node in ast.walk(module.tree) if isinstance(node, (ast.AsyncFunctionDef, ast.Await))
    ] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_only_the_probe_and_the_sources_read_the_environment(module):
    if in_any(module.path, ENVIRONMENT):
        return
    # Whether output is coloured is no input to a decision.
    tree = ast.parse(module.source.replace('"NO_COLOR" not in os.environ', "True"))
    assert uses(tree, "os", {"environ", "environb", "getenv", "getenvb"}) == []
    assert uses(tree, "posix", {"environ"}) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_only_the_launcher_starts_processes(module):
    if in_any(module.path, PROCESSES):
        return
    assert uses(module.tree, "os", STARTS) == []
    assert uses(module.tree, "posix", STARTS) == []
    assert [
        line
        for line, name in imports(module.tree)
        if name.split(".")[0] in {"subprocess", "multiprocessing", "_posixsubprocess", "pty"}
    ] == []


def uses(tree: ast.AST, module: str, names: set[str]) -> list[str]:
    """Return where `module.NAME` stands, or NAME is imported from it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == module and node.attr in names:
                found.append(f"line {node.lineno}: {module}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module == module:
            found += [f"line {node.lineno}: {alias.name}" for alias in node.names if alias.name in names]
    return found


def test_a_use_would_be_found():
    tree = ast.parse("import os\nfrom os import fork\ndef f():\n    return os.environ['A']\n")
    assert uses(tree, "os", {"environ", "fork"}) == ["line 2: fork", "line 4: os.environ"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_every_module_says_what_it_is(module):
    assert not module.source or ast.get_docstring(module.tree), f"{module.path} has no docstring"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_no_file_holds_more_than_one_reads_in_a_sitting(module):
    assert module.source.count("\n") <= LONGEST


def test_no_command_is_ever_handed_to_a_shell():
    found = [
        f"{module.path}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and getattr(node.value, "value", None) is True
    ]
    assert found == []
