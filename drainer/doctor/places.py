"""Checks on places and on drainer's own things: disks, units, the last drain."""

from drainer.doctor.check import Check, CheckVerdict, Context
from drainer.doctor.facts import Pending, Space
from drainer.model import Route
from drainer.text import size
from drainer.units import DRAIN_UNIT

LITTLE = 256 << 20
"""Free bytes below which a checkpoint of an ordinary program may not fit."""
TOO_LITTLE = 1 << 20
"""Free bytes below which not even the manifest is sure to fit."""


def _shown(space: Space) -> str:
    free = "free space unknown" if space.free is None else f"{size(space.free)} free"
    return ", ".join(filter(None, (space.path, space.kind, free)))


def _short(space: Space, limit: int) -> bool:
    return space.free is not None and space.free < limit


def copies(context: Context) -> Check:
    """Look at where containerd unpacks the checkpoints of the engine route."""
    space = context.facts.surroundings.copies
    if not context.uses(Route.ENGINE):
        meaning = "Only the engine route needs this place, and no drain goes by it here."
        return Check("copies", CheckVerdict.OK, _shown(space), meaning)
    if not space.in_memory and not _short(space, LITTLE):
        meaning = "On the engine route containerd copies each checkpoint to this place."
        return Check("copies", CheckVerdict.OK, _shown(space), meaning)
    where = ", which is in memory," if space.in_memory else ""
    return Check(
        "copies",
        CheckVerdict.NOTE,
        _shown(space),
        f"On the engine route containerd copies each checkpoint to this place{where} and a "
        "checkpoint that does not fit fails.",
        "Keep as much free as the containers that are carried have in memory (`drainer plan` "
        "names their sizes), or carry them by `--route runtime`.",
    )


def state(context: Context) -> Check:
    """Look at the state directory."""
    space = context.facts.surroundings.state
    if space.in_memory:
        return Check(
            "state_directory",
            CheckVerdict.PROBLEM,
            _shown(space),
            "The state directory is in memory: a reboot would take the manifest with it.",
            "Mount a disk there.",
        )
    if _short(space, LITTLE):
        return Check(
            "state_directory",
            CheckVerdict.PROBLEM if _short(space, TOO_LITTLE) else CheckVerdict.NOTE,
            _shown(space),
            "The manifest and the checkpoints of the runtime route are kept there, and what does "
            "not fit is not carried.",
            "Free some space; `drainer plan` names the sizes of the checkpoints.",
        )
    meaning = "The manifest and the checkpoints of the runtime route are kept there."
    return Check("state_directory", CheckVerdict.OK, _shown(space), meaning)


def units(context: Context) -> Check:
    """Tell whether drainer takes part in the next reboot."""
    found = context.facts.surroundings.units
    lacks = [
        f"{unit.name} is {', '.join(words)}"
        for unit in found
        if (
            words := [
                word
                for word, case in (
                    ("not installed", not unit.loaded),
                    ("not enabled", unit.loaded and not unit.enabled),
                    ("not active", unit.enabled and unit.name == DRAIN_UNIT and not unit.active),
                )
                if case
            ]
        )
    ]
    changed = [unit.name for unit in found if unit.changed]
    if lacks:
        return Check(
            "units",
            CheckVerdict.NOTE,
            "; ".join(lacks),
            "A reboot now would not carry containers by itself.",
            "Run `drainer install --enable` to take part in every reboot.",
        )
    if changed:
        return Check(
            "units",
            CheckVerdict.NOTE,
            f"changed by hand: {', '.join(changed)}",
            "The units are in place and enabled, but an upgrade of drainer will not replace them.",
            f"Keep changes in a drop-in (`systemctl edit {changed[0]}`), move the file away, and "
            "run `drainer install`.",
        )
    meaning = "Every reboot carries containers by itself."
    return Check("units", CheckVerdict.OK, "installed and enabled", meaning)


def configuration(context: Context) -> Check:
    """Tell whether the settings can be used."""
    found = context.facts.surroundings.configuration
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        return Check(
            "configuration",
            CheckVerdict.PROBLEM,
            f"{found.problems[0]}{more}",
            "A drain does nothing while the settings have a mistake: it could carry something "
            "that is to be left out.",
            "Run `drainer config validate` and put right what it names.",
        )
    files = ", ".join(found.files) or "none; the defaults hold"
    return Check("configuration", CheckVerdict.OK, files, "The settings can be used.")


def last_drain(context: Context) -> Check:
    """Tell whether containers wait to be brought back."""
    last = context.facts.surroundings.last_drain
    name = "last_drain"
    if last.pending is Pending.UNREADABLE:
        return Check(
            name,
            CheckVerdict.PROBLEM,
            last.problem,
            "The manifest of the last drain cannot be used: neither a drain nor a resume will "
            "touch anything.",
            last.hint or "See docs/manifest.md.",
        )
    if last.pending is Pending.WAITING:
        return Check(
            name,
            CheckVerdict.NOTE,
            f"drain {last.drain_id} still waits for its resume, {last.down} containers",
            "Containers that it took down are still down.",
            "Run `drainer resume` to bring them back; `drainer status` says which they are.",
        )
    found = f"drain {last.drain_id} is finished" if last.drain_id else "none so far"
    return Check(name, CheckVerdict.OK, found, "No container waits to be brought back.")
