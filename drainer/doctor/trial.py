"""The trial of a route: a throw-away container, drained and resumed by the code of a reboot."""

import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from drainer.carriers.base import Carriers
from drainer.deadline import Deadline
from drainer.doctor.rootfs import SHELL
from drainer.engine.base import Engine
from drainer.errors import DrainerError
from drainer.host.base import Host
from drainer.labels import TRIAL_PREFIX
from drainer.manifest import Entry, Manifest, State
from drainer.model import EngineFacts, HostFacts, Plan, Route, Verdict
from drainer.plan import make_plan

PROGRAM = (
    "read token </proc/sys/kernel/random/uuid; count=0;"
    " while :; do count=$((count+1)); echo $token $count; sleep 1; done"
)
"""Knows only in memory who it is, and how far it has counted; one line a second."""

START_TIMEOUT = 60.0
POLL = 0.25
CLEAN_PATIENCE = 60.0
"""Seconds in which what a trial made has to be removed, a dump under way notwithstanding."""
CLEAN_POLL = 1.0

_LINE = re.compile(r"^(\S+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """How one route did. Times are in seconds; None for what was not reached."""

    route: Route
    network: str
    """The network mode of the container."""
    restored: bool
    """Whether it went on with all that it had in memory."""
    reason: str = ""
    """Why not; empty when it was. For people."""
    dump_seconds: float | None = None
    """From its pause until its checkpoint was complete, verified and flushed."""
    restore_seconds: float | None = None
    """From the order until it was proved to run."""
    frozen_seconds: float | None = None
    """From its pause until it ran again: a reboot adds the time in which the host is down."""
    size: int = 0
    """Bytes of the checkpoint."""


@dataclass(frozen=True, slots=True)
class Acts:
    """What a drain and a resume do, on the manifest of the trial."""

    drain: Callable[[Plan, Deadline], Manifest]
    resume: Callable[[Manifest, Deadline], Manifest]


@dataclass(frozen=True, slots=True)
class Progress:
    """What the container has said of itself last."""

    token: str = ""
    count: int = 0


def read_progress(log: str) -> Progress:
    """Find the last complete line of a trial in its log."""
    found = _LINE.findall(log)
    return Progress(found[-1][0], int(found[-1][1])) if found else Progress()


def try_route(
    route: Route,
    network: str,
    archive: bytes,
    engine: Engine,
    host: Host,
    facts: tuple[HostFacts, EngineFacts],
    acts: Acts,
    deadline: Deadline,
) -> Trial:
    """Carry a throw-away container by `route`. It is left to `clean_up`, whatever happens.

    `archive` is its root file system. Whatever fails becomes the reason. Other containers are not
    touched.
    """
    manifest: Manifest | None = None
    try:
        container = _start(route, network, archive, engine, deadline)
        before = _await(engine, container, Progress(), deadline)
        plan = _plan(route, container, engine, host, facts)
        manifest = acts.drain(plan, deadline)
        _require(manifest.entries[0], State.STOPPED)
        frozen = read_progress(engine.logs(container))
        manifest = acts.resume(manifest, deadline)
        _require(manifest.entries[0], State.RESTORED)
        after = _await(engine, container, max(before, frozen, key=lambda p: p.count), deadline)
        _prove(engine, host, container, before, after)
    except DrainerError as error:
        why = "interrupted" if deadline.interrupted else error.message
        return _result(route, network, manifest, why)
    return _result(route, network, manifest, "")


def _start(route: Route, network: str, archive: bytes, engine: Engine, deadline: Deadline) -> str:
    if deadline.interrupted or deadline.over:
        raise DrainerError("the budget ended before it")
    image = engine.import_image(archive)
    name = f"{TRIAL_PREFIX}{route}-{secrets.token_hex(4)}"
    container = engine.create_trial(image, name, network, (SHELL, "-c", PROGRAM))
    engine.start(container, deadline.limit(START_TIMEOUT))
    return container


def _await(engine: Engine, container: str, last: Progress, deadline: Deadline) -> Progress:
    """Wait until the container has counted on from `last`; raise when it does not."""
    while True:
        now = read_progress(engine.logs(container))
        if now.count and (now.count > last.count or now.token != last.token):
            return now
        if not engine.inspect(container).running:
            raise DrainerError("its program ended by itself")
        if deadline.interrupted:
            raise DrainerError("interrupted")
        if deadline.over:
            raise DrainerError("the budget ended before its program counted on")
        deadline.sleep(POLL)


def _plan(
    route: Route,
    container: str,
    engine: Engine,
    host: Host,
    facts: tuple[HostFacts, EngineFacts],
) -> Plan:
    """Plan a drain of this container alone, as if there were no other."""
    found = engine.inspect(container)
    plan = make_plan(*facts, (found,), {found.id: host.processes(found)}, (route,))
    entry = plan.entries[0]
    if entry.verdict is Verdict.SKIP:
        reason = entry.reasons[0]
        raise DrainerError(f"{reason.id}: {reason.sentence}")
    return plan


def _require(entry: Entry, state: State) -> None:
    if entry.state is not state:
        raise DrainerError(entry.detail or f"it is {entry.state} and should be {state}")


def _prove(engine: Engine, host: Host, container: str, before: Progress, after: Progress) -> None:
    if after.token != before.token:
        raise DrainerError("it was reported restored, and has lost its memory")
    if not host.is_restored(engine.inspect(container)):
        raise DrainerError("it was reported restored, and was started from the beginning")


def _result(route: Route, network: str, manifest: Manifest | None, reason: str) -> Trial:
    if manifest is None:
        return Trial(route, network, not reason, reason)
    entry = manifest.entries[0]
    return Trial(
        route,
        network,
        not reason,
        reason,
        dump_seconds=_between(entry, State.DUMPING, State.DUMPED),
        restore_seconds=_between(entry, State.RESTORING, State.RESTORED),
        frozen_seconds=_between(entry, State.DUMPING, State.RESTORED),
        size=entry.size,
    )


def _between(entry: Entry, first: State, last: State) -> float | None:
    """Return the seconds between two states; None if it was not in both."""
    if first not in entry.times or last not in entry.times:
        return None
    begin, end = (datetime.fromisoformat(entry.times[state]) for state in (first, last))
    return round((end - begin).total_seconds(), 3)


def clean_up(engine: Engine, carriers: Carriers, manifest: Manifest | None) -> tuple[str, ...]:
    """Remove what trials, this one's or a killed one's, have made of Docker's and runc's things.

    Returns what could not be removed within `CLEAN_PATIENCE`, in sentences; the next one tries
    again. `manifest` is that of the last trial, if there was one.
    """
    for entry in manifest.entries if manifest else ():
        carrier = carriers[entry.route]
        # What the resume has tidied is no more: then there is nothing to do.
        with suppress(DrainerError):
            carrier.tidy(entry)
        with suppress(DrainerError):
            carrier.delete(entry)
    end = time.monotonic() + CLEAN_PATIENCE
    while True:
        problems = _remove_all(engine)
        if not problems or time.monotonic() >= end:
            return problems
        # While a dump is under way Docker cannot remove its container.
        time.sleep(CLEAN_POLL)


def _remove_all(engine: Engine) -> tuple[str, ...]:
    problems = []
    for listing, remove in (
        (engine.trials, engine.remove),
        (engine.trial_images, engine.remove_image),
    ):
        try:
            found = listing()
        except DrainerError as error:
            problems.append(error.message)
            continue
        for identity in found:
            try:
                remove(identity)
            except DrainerError as error:
                problems.append(error.message)
    return tuple(problems)
