"""Which files are tests, by the names that runners look for."""

from ringfence.workspace.risks.finding import Place

_FOLDERS = frozenset({
    "test", "tests", "__tests__", "spec", "specs", "testing", "e2e", "cypress", "integration", "unittest",
    "unittests", "test-d", "testdata", "t", "features", "__snapshots__",
})  # fmt: skip
_ENDS = (
    "_test",
    "_tests",
    "_spec",
    ".test",
    ".tests",
    ".spec",
    "test",
    "tests",
    "_unittest",
    ".cy",
    ".e2e",
    "-test",
    "-spec",
)
_CODE = (
    ".py", ".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".go", ".rs", ".java", ".kt",
    ".kts", ".scala", ".rb", ".php", ".cs", ".fs", ".swift", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp",
    ".m", ".ex", ".exs", ".erl", ".clj", ".hs", ".lua", ".pl", ".t", ".sh", ".bats", ".dart", ".groovy",
    ".r", ".jl", ".vue", ".svelte", ".feature", ".robot", ".snap", ".zig", ".nim",
)  # fmt: skip


def is_test(path: bytes) -> bool:
    """Say whether a path is that of a test."""
    place = Place(path)
    if not place.name.endswith(_CODE):
        return False
    if not _FOLDERS.isdisjoint(place.folders):
        return True
    stem = place.name.rpartition(".")[0].removesuffix(".d")
    return stem.startswith(("test_", "test-", "test.", "spec_")) or stem == "test" or stem.endswith(_ENDS)
