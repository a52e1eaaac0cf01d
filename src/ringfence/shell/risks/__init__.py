"""Why a shell command is for a person to answer: one risk a file, with its theory, advice and examples.

Findings and problems name a risk by its NAME. Each file has NAME, TITLE, ADVICE, an EXAMPLE that has the
risk and a HARMLESS twin that has not; SHELL where it is not bash's. Imported by name, when something is
explained.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def names(folder: str = os.path.dirname(__file__)) -> list[str]:
    """Return the names of all risks that lie in a folder."""
    files = os.listdir(folder)
    return sorted(
        file.removesuffix(".py").replace("_", "-")
        for file in files
        if file.endswith(".py") and file != "__init__.py"
    )


def risk(name: str) -> "ModuleType":
    """Return the risk of this name."""
    return __import__(f"ringfence.shell.risks.{name.replace('-', '_')}", fromlist=["NAME"])
