"""The cost table in words, and as a drawing."""

import json
import os

from ringfence.bench.tiers import HOST, KINDS, MEMORY, START, Cost, Report
from ringfence.errors import HostError, UsageError
from ringfence.value import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMS = (".svg", ".png")
_TITLES = {
    "computing": "computing",
    "calls": "system calls",
    "opening": "open and close",
    "status": "git status",
    "unpacking": "unpacking small files",
    START: "start",
    MEMORY: "memory idle",
}
_RATIOS = tuple(kind for kind in KINDS if kind not in {START, MEMORY})


def table(report: Report) -> str:
    """Return the table: what the host takes, and how many times that each tier takes."""
    tiers = list(report.costs)
    lines = [f"{'':<24}" + "".join(f"{tier:>12}" for tier in tiers)]
    for kind in KINDS:
        cells = "".join(f"{_cell(kind, report.costs[tier][kind], tier):>12}" for tier in tiers)
        lines.append(f"{_TITLES[kind]:<24}{cells}")
    lines.append("")
    lines += [f"{tier}: {version}" for tier, version in report.versions.items() if version]
    lines += [f"{tier} cannot be had here: {why}" for tier, why in report.missing.items()]
    if not tiers:
        return "\n".join(lines[len(KINDS) + 2 :])
    lines.append(
        f"Medians of {report.rounds} interleaved round{'s' * (report.rounds != 1)}; "
        "the host's column in its own units, the tiers' as multiples of it."
    )
    return "\n".join(lines)


def _cell(kind: str, cost: Cost | None, tier: str) -> str:
    if cost is None:
        return "-"
    if kind == MEMORY:
        return f"{cost.value / (1 << 20):.1f} MB"
    if tier == HOST or cost.ratio is None:
        return _seconds(cost.value)
    return f"{cost.ratio:.1f}x" if cost.ratio < 100 else f"{cost.ratio:.0f}x"


def _seconds(value: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def as_json(report: Report) -> str:
    """Return the report as JSON: seconds, and bytes for memory."""
    return json.dumps(plain(report), indent=2)


def check(path: str) -> None:
    """Refuse a file that nothing can be drawn to. Asked before anything is measured."""
    if not path.endswith(FORMS):
        raise UsageError(
            f"`--draw {path}` is neither SVG nor PNG", hint="name a file that ends in .svg or .png"
        )
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise UsageError(f"`--draw {path}`: there is no such folder", hint="make it first")
    try:
        import matplotlib as mpl  # noqa: F401 - only whether it is there
    except ImportError:
        raise HostError(
            "drawing needs matplotlib, which is not installed", hint="pip install 'ringfence[charts]'"
        ) from None


def draw(report: Report, path: str) -> None:
    """Draw the table: the work as multiples of the host's time, beside it start and memory."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    tiers = [tier for tier in report.costs if tier != HOST]
    with mpl.rc_context({"svg.hashsalt": "ringfence", "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        work, start, memory = figure.subplots(1, 3, width_ratios=[3, 1, 1])
        _bars(work, report, tiers)
        _single(start, report, tiers, START)
        _single(memory, report, tiers, MEMORY)
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.endswith(".svg") else None)


def _bars(axes: "Axes", report: Report, tiers: list[str]) -> None:
    width = 0.8 / max(1, len(tiers))
    for number, tier in enumerate(tiers):
        ratios = [_ratio(report.costs[tier][kind]) for kind in _RATIOS]
        places = [place + (number - (len(tiers) - 1) / 2) * width for place in range(len(_RATIOS))]
        axes.bar(places, ratios, width, label=tier)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_title("time, as a multiple of the host's")
    axes.set_xticks(range(len(_RATIOS)), [_TITLES[kind].replace(" small files", "") for kind in _RATIOS])
    if tiers:
        axes.legend()


def _ratio(cost: Cost | None) -> float:
    return cost.ratio if cost is not None and cost.ratio is not None else float("nan")


def _single(axes: "Axes", report: Report, tiers: list[str], kind: str) -> None:
    scale, title = (1e3, "start, ms") if kind == START else (1 / (1 << 20), "memory idle, MB")
    for number, tier in enumerate(tiers):
        cost = report.costs[tier][kind]
        axes.bar([number], [cost.value * scale if cost is not None else float("nan")])
    axes.set_yscale("log")
    axes.set_title(title)
    axes.set_xticks(range(len(tiers)), tiers, rotation=30)
