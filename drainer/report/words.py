"""A report in words: the rows of a table, what sums it up, Markdown, a document for programs."""

import re
from statistics import median
from typing import Any

from drainer.report.facts import Passage, Phase, Report
from drainer.sentences import outcome, wish
from drainer.text import printable, size

COLUMNS = ("CONTAINER", "STATE", "AWAY", "DUMP", "RESTORE", "SIZE", "WHY")
_MINUTE, _HOUR = 60, 3600
_MARKUP = re.compile(r"([\\`*_\[\]<>#!|~&])")


def duration(seconds: float | None) -> str:
    """Show a stretch of time, such as `0.8 s`, `42 s` or `1 min 5 s`; `-` if it is not known."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 10:  # noqa: PLR2004 - from there on a tenth of a second says nothing
        return f"{seconds:.1f} s"
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def summary(report: Report) -> tuple[str, ...]:
    """Sum a report up in lines for people. What they quote may be untrusted."""
    manifest = report.manifest
    counts = ", ".join(f"{count} {state}" for state, count in manifest.counts.items())
    kernels = manifest.host.kernel
    if report.kernel:
        same = report.kernel == kernels
        kernels += ", before and after" if same else f" before, {report.kernel} after"
    facts = (
        ("Drain", f"{manifest.drain_id} ({manifest.trigger})"),
        ("Asked for", wish(manifest) or "-"),
        ("Resume", (manifest.finished and "finished") or "pending: run `drainer resume`"),
        ("Containers", counts or "none"),
        ("Away longest", duration(report.worst)),
        ("Drain took", duration(report.drain_seconds)),
        ("Host away" if report.booted else "Until the resume", duration(report.between_seconds)),
        ("Resume took", duration(report.resume_seconds)),
        ("Checkpoints", _sizes(report)),
        ("Kernel", kernels),
    )
    return tuple(f"{name}: {value}" for name, value in facts if value != "-")


def _sizes(report: Report) -> str:
    if not report.size:
        return "-"
    speeds = [speed for passage in report.passages if (speed := passage.speed)]
    typical = f", typically dumped at {size(round(median(speeds)))}/s" if speeds else ""
    return size(report.size) + typical


def row(passage: Passage) -> tuple[str, ...]:
    """Return a container's row of the table."""
    entry = passage.entry
    back = passage.seconds(Phase.RESTORE)
    return (
        entry.name,
        entry.state,
        duration(passage.away),
        duration(passage.seconds(Phase.DUMP)),
        duration(back if back is not None else passage.seconds(Phase.COLD)),
        size(entry.size) if entry.size else "-",
        outcome(entry),
    )


def markdown(report: Report) -> str:
    """Return the report as Markdown, for a ticket. No name in it changes its layout."""
    across = " across a reboot" if report.booted else ""
    lines = [f"# Containers carried{across}", ""]
    lines += [f"- {_plain(line)}" for line in summary(report)]
    lines += ["", _cells(COLUMNS), _cells(["---"] * len(COLUMNS), plain=True)]
    lines += [_cells(row(passage)) for passage in report.passages]
    return "\n".join(lines)


def _cells(cells: tuple[str, ...] | list[str], *, plain: bool = False) -> str:
    return f"| {' | '.join(cells if plain else map(_plain, cells))} |"


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", printable(text, 500))


def document(report: Report) -> dict[str, Any]:
    """Shape a report for programs. Durations are seconds, and null where they are not known."""
    manifest = report.manifest
    return {
        "drain_id": manifest.drain_id,
        "trigger": manifest.trigger,
        "reason": manifest.reason,
        "by": manifest.by,
        "pending": manifest.pending,
        "counts": {str(state): count for state, count in manifest.counts.items()},
        "drain_seconds": report.drain_seconds,
        "between_seconds": report.between_seconds,
        "resume_seconds": report.resume_seconds,
        "longest_away_seconds": report.worst,
        "bytes": report.size,
        "kernel_before": manifest.host.kernel,
        "kernel_after": report.kernel,
        "containers": [_container(passage) for passage in report.passages],
    }


def _container(passage: Passage) -> dict[str, Any]:
    entry = passage.entry
    return {
        "id": entry.id,
        "name": entry.name,
        "state": entry.state,
        "away_seconds": passage.away,
        "dump_seconds": passage.seconds(Phase.DUMP),
        "restore_seconds": passage.seconds(Phase.RESTORE),
        "bytes": entry.size,
        "bytes_per_second": passage.speed,
        "skip_reason": entry.skip_reason,
        "why": outcome(entry),
    }
