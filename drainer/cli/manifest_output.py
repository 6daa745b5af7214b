"""What is printed of a manifest, and of what becomes of its containers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from drainer.cli import output
from drainer.cli.live import Board
from drainer.journal import Event
from drainer.lacking import Lack
from drainer.manifest import Entry, Manifest, State
from drainer.sentences import is_news, outcome, wish
from drainer.status import StatusRow
from drainer.store.failed_drain import FailedDrain
from drainer.text import printable, size

_EVENTS = {
    State.STOPPED: Event.DRAINED,
    State.RESTORED: Event.RESTORED,
    State.STARTED_COLD: Event.STARTED_COLD,
    State.LEFT: Event.LEFT,
    State.GONE: Event.GONE,
}


def progress(entry: Entry, board: Board | None = None) -> None:
    """Tell a change of one container's state: on a board what is under way, else each by a line."""
    if board and not entry.state.ended and entry.state is not State.STOPPED and not entry.detail:
        board.under_way(printable(entry.name), entry.state)
        return
    if board:
        board.done(printable(entry.name))
    detail = f": {entry.detail}" if entry.detail else ""
    output.say(
        f"{printable(entry.name)}: {entry.state}{detail}",
        _EVENTS.get(entry.state) if entry.state.ended or is_news(entry) else None,
        DRAINER_CONTAINER=entry.name,
        DRAINER_CONTAINER_ID=entry.id,
        DRAINER_STATE=entry.state,
        DRAINER_ROUTE=entry.route,
        DRAINER_DETAIL=entry.detail,
    )


def say_lacking(manifest: Manifest, lacking: Mapping[str, Lack]) -> None:
    """Print a line for each reason why containers cannot be started, with their names."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for entry in manifest.entries:
        if lack := lacking.get(entry.id):
            names[lack.why].append(printable(entry.name))
    for why, waiting in names.items():
        output.say(f"cannot be started now: {', '.join(waiting)}: {why}", Event.CANNOT_START)
    if names:
        output.say("they keep their checkpoints: afterwards, `drainer resume` restores them")


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """Shape a manifest for programs."""
    return asdict(manifest)


def show_outcome(manifest: Manifest, *, as_json: bool) -> None:
    """Print what became of each container."""
    if as_json:
        output.show_json(manifest=manifest_json(manifest))
        return
    output.show_table(
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


def heading(manifest: Manifest) -> tuple[str, ...]:
    """Say which drain it is, and how far its resume."""
    ended = f"finished {manifest.finished}" if manifest.finished else "pending: not yet finished"
    asked = wish(manifest)
    return (
        printable(f"Drain {manifest.drain_id} ({manifest.trigger}), {manifest.created}"),
        *((printable(f"Asked for: {asked}", 700),) if asked else ()),
        printable(f"Resume: {ended}"),
    )


def failed_drain(failed: FailedDrain) -> str:
    """Say that the drain of the last shutdown failed."""
    hint = f" ({failed.hint})" if failed.hint else ""
    return f"the drain of the shutdown of {failed.at} failed: {failed.why}{hint}"


def show_failed_drain(failed: FailedDrain | None, *, earlier: bool) -> None:
    """Print the same where it is so, before what is told of an earlier drain, if there is any."""
    if failed:
        output.line(printable(f"Note: {failed_drain(failed)}", output.LINE))
        if earlier:
            output.line("What follows is of an earlier drain.")
            output.line()


def failed_drain_json(failed: FailedDrain | None) -> dict[str, str] | None:
    """Shape it for programs."""
    return asdict(failed) if failed else None


def show_status(manifest: Manifest, rows: Sequence[StatusRow]) -> None:
    """Print the manifest beside Docker's view."""
    for words in heading(manifest):
        output.line(words)
    output.line()
    output.show_table(
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
