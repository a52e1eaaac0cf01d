"""Risks that need rules, places or files to be seen; those of a command's own text are in `shell.risks`.

Each file has NAME, TITLE, ADVICE, the RULES under which EXAMPLE has the risk and HARMLESS has not.
"""

import os

from ringfence.shell import risks as of_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def names() -> list[str]:
    """Return the names of the risks in this folder."""
    return of_texts.names(os.path.dirname(__file__))


def risk(name: str) -> "ModuleType":
    """Return a risk by its name, wherever its file is."""
    if name not in names():
        return of_texts.risk(name)
    return __import__(f"ringfence.verdict.risks.{name.replace('-', '_')}", fromlist=["NAME"])


def page() -> str:
    """Return the reference section of docs/commands.md: every risk under a heading of its name."""
    return "\n".join(_entry(risk(name)) for name in sorted({*names(), *of_texts.names()}))


def _entry(one: "ModuleType") -> str:
    theory = " ".join((one.__doc__ or "").split())
    shell = f" ({one.SHELL})" if hasattr(one, "SHELL") else ""
    return (
        f"### {one.NAME}\n\n{one.TITLE}. {theory} {one.ADVICE}\n\n"
        f"- asks{shell}: {_code(one.EXAMPLE)}\n- does not: {_code(one.HARMLESS)}\n"
    )


def _code(text: str) -> str:
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    shown = shown if len(shown) <= 120 else shown[:119] + "…"
    ticks = "``" if "`" in shown else "`"
    pad = " " if "`" in shown else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"
