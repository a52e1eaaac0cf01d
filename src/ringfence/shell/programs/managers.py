"""The shape of package managers, task runners and build tools: a verb, and options anywhere."""


class Manager:
    """A program whose first operand is a verb."""

    __slots__ = (
        "alone",
        "assigns",
        "clusters",
        "files",
        "findings",
        "risk",
        "risky",
        "runs",
        "scripts",
        "skips",
        "values",
    )

    def __init__(
        self,
        *,
        values: str = "",
        risky: "dict[str, str] | None" = None,
        clusters: str = "",
        files: str = "",
        runs: str = "",
        scripts: str = "",
        findings: "dict[tuple[str, str], str] | None" = None,
        alone: bool = False,
        skips: int = 0,
        assigns: bool = False,
        risk: str = "option-runs-program",
    ) -> None:
        """Take words for each field.

        `values`: options with a separate value; `risky`: reasons, and options; `clusters`: those of one
        letter
        that may have their value attached; `files`: options whose value is a file; `runs`: verbs that run
        what follows; `scripts`: options of these whose value is a text for a shell; `findings`: verbs that
        are a risk; `alone`: there is no verb; `skips`: operands of its own before what it runs;
        `assigns`: `NAME=value` among the operands sets a variable.
        """
        self.values = frozenset(values.split())
        self.risky = {word: reason for reason, words in (risky or {}).items() for word in words.split()}
        self.clusters = frozenset(clusters.split())
        self.files = frozenset(files.split())
        self.runs = frozenset(runs.split())
        self.scripts = frozenset(scripts.split())
        self.findings = {word: risk for risk, words in (findings or {}).items() for word in words.split()}
        self.alone = alone
        self.skips = skips
        self.assigns = assigns
        self.risk = risk


# Reasons that several of them share
ELSEWHERE = "works in another folder, whose scripts it then runs"
SHELL = "has scripts run by another shell"
INDEX = "fetches packages from another place"
CONFIG = "takes its configuration from another file"
SETS = ("package-settings", "changes its configuration, which may name programs to run")
SENDS = ("publishes", "publishes or changes something for everybody")
KEYS = ("publishes", "deals with the keys of an account")
