"""What people and programs read: tables, progress lines, JSON, errors."""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from io import TextIOWrapper
from typing import Any

from drainer.errors import ExitCode
from drainer.lacking import Lack
from drainer.manifest import Entry, Manifest
from drainer.model import Finding, Plan, PlanEntry, Verdict
from drainer.plan import demands
from drainer.room import Use, side_by_side, uses
from drainer.sentences import outcome
from drainer.status import StatusRow
from drainer.text import printable, size

FORMAT_VERSION = "1.0"
"""Of every JSON output. Within a major version fields are only added."""

LINE = 500
"""Characters of a line of progress, at most."""

WIDTH_WITHOUT_TERMINAL = 160


def show_json(**content: object) -> None:
    """Print one JSON document, in ASCII and without control characters but its line breaks."""
    line(json.dumps({"format_version": FORMAT_VERSION, **content}, indent=2))


def show_error(message: str, hint: str, code: ExitCode, *, as_json: bool) -> None:
    """Print an error and its hint, one line each, on stderr, or as JSON on stdout."""
    if as_json:
        show_json(error={"code": int(code), "message": message, "hint": hint})
        return
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")


def say(words: str) -> None:
    """Print one line on stderr, of words that may be untrusted; that nobody reads it stops no work.

    What is told is one line of the journal and of the console, whatever a container is called.
    """
    with suppress(OSError):
        print(f"drainer: {printable(words, LINE)}", file=sys.stderr, flush=True)  # noqa: T201


def escape_what_cannot_be_shown() -> None:
    """Let no character be an error, in a locale that has not all of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the last column wraps, the others do not. Cells may be untrusted."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and seldom needed
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number < len(columns) - 1, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell, 300)) for cell in row))
    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    console = Console(width=width, no_color=not colour, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(table)
    line(captured.get().rstrip("\n"))


def line(text: str = "") -> None:
    """Print a line on stdout; that nobody reads it changes no exit code."""
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def plan_json(plan: Plan) -> dict[str, Any]:
    """Shape a plan for programs."""
    wanted = demands(plan).values()
    return {
        "refusals": [asdict(r) for r in plan.refusals],
        "entries": [_planned_json(e) for e in plan.entries],
        "room": [asdict(use) for use in uses(wanted, plan.places)],
        "at_once": side_by_side(wanted, plan.places),
        "host": asdict(plan.host),
        "engine": asdict(plan.engine),
    }


def _planned_json(entry: PlanEntry) -> dict[str, Any]:
    container = entry.container
    return {
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "restart_policy": asdict(container.restart_policy),
        "verdict": entry.verdict,
        "reasons": [asdict(r) for r in entry.reasons],
        "notes": [asdict(n) for n in entry.notes],
        "route": entry.route if entry.verdict is Verdict.CARRY else "",
        "route_reasons": [asdict(r) for r in entry.route_reasons],
        "wave": entry.wave,
        "needs": list(entry.needs),
        "expected_bytes": entry.expected_bytes,
        "priority": entry.priority,
    }


def show_plan(plan: Plan) -> None:
    """Print a plan for people: what is carried and what not, why, and what to do about it."""
    if not plan.entries:
        line("No container is running.")
        return
    ranked = any(e.priority for e in plan.entries)
    priority = ("PRIORITY",) if ranked else ()
    show_table(
        ("CONTAINER", "VERDICT", "ROUTE", "WAVE", *priority, "SIZE", "WHY"),
        [
            (
                e.container.name,
                e.verdict,
                e.route if e.verdict is Verdict.CARRY else "-",
                str(e.wave) if e.verdict is Verdict.CARRY else "-",
                *((str(e.priority),) if ranked else ()),
                size(e.expected_bytes) if e.verdict is Verdict.CARRY else "-",
                _why(e),
            )
            for e in plan.entries
        ],
    )
    carried = plan.carried
    total = size(sum(e.expected_bytes for e in carried))
    line()
    line(f"{len(carried)} of {len(plan.entries)} running containers would be carried, {total}.")
    _show_room(plan)
    _explain_routes(plan)
    findings = {f.id: f for e in plan.entries for f in (*e.reasons, *e.notes)}
    if findings:
        line()
        line("What to do about it:")
    for finding in findings.values():
        line(f"  {finding.id}: {finding.advice}")


def _show_room(plan: Plan) -> None:
    """Say where the checkpoints go, and whether they fit side by side."""
    wanted = demands(plan)
    found = uses(wanted.values(), plan.places)
    known = [use for use in found if use.free is not None]
    if not known:
        return
    line()
    line("Room for their checkpoints:")
    for use in known:
        line(f"  {printable(use.path)}: {_use(use)}")
    at_once = side_by_side(wanted.values(), plan.places)
    if at_once < len(wanted):
        line(f"  For more than {at_once} at once there is no room, so they take turns.")


def _use(use: Use) -> str:
    parts = [
        f"{size(use.lasting)} needed" if use.lasting else "",
        f"{size(use.passing)} {'more ' if use.lasting else ''}in passing" if use.passing else "",
        f"{size(use.free or 0)} free",
    ]
    where = " (in memory)" if use.in_memory and use.path != "memory" else ""
    return ", ".join(part for part in parts if part) + where


def _explain_routes(plan: Plan) -> None:
    """Say once for each reason why containers are not on the preferred route."""
    causes: dict[Finding, int] = {}
    for entry in plan.carried:
        if entry.route_reasons:
            first = entry.route_reasons[0]
            causes[first] = causes.get(first, 0) + 1
    if causes:
        line()
        line("On the runtime route, as the engine route cannot carry:")
    for finding, count in causes.items():
        line(f"  {count} of them, {finding.id}: {said(finding, 120)}")


def said(finding: Finding, limit: int) -> str:
    """Return what a rule says, with at most so many characters of the case in particular."""
    detail = f" ({printable(finding.detail, limit)})" if finding.detail else ""
    return f"{finding.sentence}{detail}"


def _why(entry: PlanEntry) -> str:
    if entry.verdict is Verdict.CARRY:
        details = (
            (n.id, f" ({printable(n.detail, 200)})" if n.detail else "") for n in entry.notes
        )
        return ", ".join(f"{name}{detail}" for name, detail in details)
    reason, *more = entry.reasons
    also = f" Also: {', '.join(r.id for r in more)}." if more else ""
    return f"{reason.id}: {said(reason, 120)}{also}"


def progress(entry: Entry) -> None:
    """Print a line for a change of one container's state."""
    detail = f": {entry.detail}" if entry.detail else ""
    say(f"{printable(entry.name)}: {entry.state}{detail}")


def say_lacking(manifest: Manifest, lacking: Mapping[str, Lack]) -> None:
    """Print a line for each reason why containers cannot be started, with their names."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for entry in manifest.entries:
        if lack := lacking.get(entry.id):
            names[lack.why].append(printable(entry.name))
    for why, waiting in names.items():
        say(f"cannot be started now: {', '.join(waiting)}: {why}")
    if names:
        say("they keep their checkpoints: afterwards, `drainer resume` restores them")


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """Shape a manifest for programs."""
    return asdict(manifest)


def show_outcome(manifest: Manifest) -> None:
    """Print what became of each container."""
    show_table(
        ("CONTAINER", "STATE", "SIZE", "POLICY", "WHY"),
        [
            (
                e.name,
                e.state,
                size(e.size) if e.size else "-",
                e.restart_policy.name or "no",
                outcome(e),
            )
            for e in manifest.entries
        ],
    )


def show_status(manifest: Manifest, rows: Sequence[StatusRow]) -> None:
    """Print the manifest beside Docker's view."""
    line(printable(f"Drain {manifest.drain_id} ({manifest.trigger}), {manifest.created}"))
    ended = f"finished {manifest.finished}" if manifest.finished else "pending: not yet finished"
    line(printable(f"Resume: {ended}"))
    line()
    show_table(
        ("CONTAINER", "MANIFEST", "DOCKER", "POLICY", "WHY"),
        [
            (
                row.entry.name,
                row.entry.state,
                row.docker,
                (row.entry.restart_policy.name or "no") + (" (held)" if row.policy_held else ""),
                outcome(row.entry),
            )
            for row in rows
        ],
    )


def summary(manifest: Manifest) -> str:
    """Count the states in a sentence."""
    counts = (f"{count} {state}" for state, count in manifest.counts.items())
    return ", ".join(counts) or "no containers"
