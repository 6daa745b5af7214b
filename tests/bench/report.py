"""Make `docs/benchmark.md` and `docs/benchmark.svg` of what `tests.bench.run` measured.

`python -m tests.bench.report FILE DIRECTORY`.
"""

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

Record = dict[str, Any]
"""One line of the file: a `tests.bench.run.Measurement`."""

HEAD = """\
# Drainer beside what people would use instead

Made by `tests/benchmark`, on one disposable host in one run: {versions}.

The host is emulated, with 2 CPUs, 5 to 20 times slower than metal, so only ratios mean anything.
Each number is the median of its rounds; the ways of one engine take turns. Every way ends when all
is on disk, as a reboot has to. [Performance](performance.md) says what the numbers mean.
"""
EXPLAINED = """\
- **down**: from the command until all is stopped and flushed. **up**: until the command ends,
  with all running again; for drainer and Podman also with its checkpoints deleted.
- **frozen**: from the last sign of life, of a program alone that gives five a second, until it is
  killed and its checkpoint is on disk. Drainer flushes before it kills; the others kill first, so
  for them it is until all is flushed. The short stops of pre-dumps are not in it.
- **away**: how long a program gave no sign of life (median over programs and rounds, then the
  worst); on one boot, so the reboot itself comes on top. Small programs give one a second.
- **criu alone** is no alternative but the floor: plain processes without a container.
- **across a reboot**: **down** until the kernel boots anew, **up** from then until the last program
  is started or restored.
- **CPU**: seconds of both CPUs, down and up, whoever used them. **memory**: the most that was
  less available than before, down.
- **own**: drainer's own process: CPU seconds down and up, and the most memory.
"""
TITLES = ("way", "rounds", "down", "up", "frozen", "away", "on disk", "CPU", "memory", "own")
COLOURS = ("#1f5a8c", "#8fbce0")
LEFT, BAR, GAP, WIDTH, TOP = 190, 16, 30, 820, 40


def main(file: Path, directory: Path) -> None:
    """Write both."""
    records: list[Record] = []
    versions: list[str] = []
    failures: list[Record] = []
    for line in file.read_text().splitlines():
        found = json.loads(line)
        if "versions" in found:
            versions = found["versions"]
        else:
            (failures if "failed" in found else records).append(found)
    text = [HEAD.format(versions=", ".join(versions)), "![Down and up](benchmark.svg)\n", EXPLAINED]
    for case in _unique(r["case"] for r in records):
        text.append(table(case, records))
        text += [f"{r['way']} failed: `{r['failed']}`\n" for r in failures if r["case"] == case]
    text.append(slopes("One more small container", records, _count))
    text.append(slopes("100 more MiB in one container", records, _hundreds))
    (directory / "benchmark.md").write_text("\n".join(text))
    (directory / "benchmark.svg").write_text(picture(records))


def table(case: str, records: list[Record]) -> str:
    """Return the Markdown of one case."""
    rows = [f"## {case}\n", _row(TITLES), _row("---" for _ in TITLES)]
    for way, some in _by_way(r for r in records if r["case"] == case).items():
        away = [seconds for r in some for seconds in r["away"]]
        own = way.startswith("drainer") and some[0]["down"]["own"]
        rows.append(
            _row(
                (
                    way,
                    str(len(some)),
                    _seconds(some, lambda r: r["down"]["seconds"]),
                    _seconds(some, lambda r: r["up"] and r["up"]["returned"]),
                    _seconds(some, lambda r: r["frozen"]),
                    f"{statistics.median(away):.1f} s, {max(away):.1f} s" if away else "",
                    _size(some, lambda r: r["kib"]),
                    _pair(some, lambda taken: taken["cpu"]),
                    _size(some, lambda r: r["down"]["memory"]),
                    f"{_pair(some, lambda taken: taken['own'])}, {_resident(some)}" if own else "",
                )
            )
        )
    return "\n".join((*rows, ""))


def slopes(title: str, records: list[Record], size: Callable[[Record], float | None]) -> str:
    """Return what one more of something costs, by the least squares of all records with a size."""
    rows = [f"## {title}\n", _row(("way", "down", "up", "of it CPU, down")), _row(("---",) * 4)]
    sized = [r for r in records if r["up"] and size(r) is not None]
    for way, some in _by_way(sized).items():
        by_size: dict[float, list[Record]] = {}
        for record in some:
            by_size.setdefault(size(record) or 0.0, []).append(record)
        if len(by_size) > 1:
            found = [
                statistics.linear_regression(
                    list(by_size),
                    [statistics.median(r[half][what] for r in rs) for rs in by_size.values()],
                ).slope
                for half, what in (("down", "seconds"), ("up", "returned"), ("down", "cpu"))
            ]
            rows.append(_row((way, *(f"{slope:.2f} s" for slope in found))))
    return "\n".join((*rows, ""))


def _count(record: Record) -> float | None:
    return len(record["away"]) if record["case"].endswith(" small") else None


def _hundreds(record: Record) -> float | None:
    """Return how many times 100 MiB one program holds that changes little of it."""
    return {"1 small": 0.0, "1 GiB, mostly clean": 10.24}.get(record["case"])


def picture(records: list[Record]) -> str:
    """Return an SVG of bars: down and up of each way, each case on a scale of its own."""
    parts: list[str] = []
    y = TOP
    for case in _unique(r["case"] for r in records):
        y += GAP
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(case)}</text>')
        bars = []
        for way, some in _by_way(r for r in records if r["case"] == case).items():
            down = _median(some, lambda r: r["down"]["seconds"])[0]
            bars.append((way, down, sum(_median(some, lambda r: r["up"] and r["up"]["returned"]))))
        scale = (WIDTH - LEFT - 110) / max(down + up for _, down, up in bars)
        for way, down, up in bars:
            y += BAR + 4
            parts.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{escape(way)}</text>')
            x = float(LEFT)
            for seconds, colour in zip((down, up), COLOURS, strict=True):
                parts.append(
                    f'<rect x="{x:.1f}" y="{y - 12}" width="{seconds * scale:.1f}" height="{BAR}"'
                    f' fill="{colour}"/>'
                )
                x += seconds * scale
            words = f"{down:.1f} + {up:.1f} s" if up else f"{down:.1f} s"
            parts.append(f'<text x="{x + 6:.1f}" y="{y}">{words}</text>')
    height = y + 20
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    )
    title = (
        f'<text x="8" y="24" font-size="14">Seconds <tspan fill="{COLOURS[0]}">down</tspan>'
        f' and <tspan fill="{COLOURS[1]}">up</tspan>, emulated; each case has its own scale</text>'
    )
    paper = f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join((opening, paper, title, *parts, "</svg>\n"))


def _by_way(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["way"], []).append(record)
    return found


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _median(some: list[Record], value: Callable[[Record], float | None]) -> list[float]:
    """Return a list of the median; empty if nothing was measured."""
    found = [number for r in some if (number := value(r)) is not None]
    return [statistics.median(found)] if found else []


def _seconds(some: list[Record], value: Callable[[Record], float | None]) -> str:
    return "".join(f"{seconds:.1f} s" for seconds in _median(some, value))


def _size(some: list[Record], value: Callable[[Record], float]) -> str:
    """Show KiB; nothing for what was not measured."""
    (kib,) = _median(some, value)
    return f"{kib / 1024:.0f} MiB" if kib else ""


def _pair(some: list[Record], value: Callable[[Record], float]) -> str:
    halves = [[value(r[half]) for r in some if r[half]] for half in HALVES]
    return " + ".join(f"{statistics.median(half):.1f} s" for half in halves if half and any(half))


def _resident(some: list[Record]) -> str:
    most = max(r[half]["resident"] for r in some for half in HALVES if r[half])
    return f"{most / 1024:.0f} MiB"


HALVES = ("down", "up")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
