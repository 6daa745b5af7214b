"""Carry out a plan: checkpoint what is eligible, writing ahead of each act."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from drainer.admission import Admission
from drainer.budget import doubtful
from drainer.carriers.base import Carriers
from drainer.compatibility import require_same_engine
from drainer.deadline import Deadline
from drainer.drain_options import DrainOptions
from drainer.engine.base import Engine
from drainer.errors import ContainerGoneError, DrainerError, EngineError
from drainer.ghost import look
from drainer.host.base import Host
from drainer.lanes import Lanes
from drainer.manifest import CheckpointState, Entry, Manifest, State, checkpoint_name
from drainer.model import Bond, Plan, PlanEntry, Verdict
from drainer.order import teams, waves
from drainer.priority import urgency
from drainer.recover import Step, next_step, waiting_users
from drainer.release import forget, release, take_up
from drainer.retain import keep_last
from drainer.room import checkpoint_bytes
from drainer.schedule import run_in_order
from drainer.store import evidence_file
from drainer.store.manifest_file import ManifestFile, Record
from drainer.takedown import TakeDown

LOOKS_AT_ONCE = 16
"""Each may have to wait for seconds, and does nothing meanwhile."""

LOSSES = frozenset({"exec_sessions", "tcp_connections"})
"""Notes on what a carried container loses; the other notes are advice before a drain."""


def settle(
    engine: Engine,
    host: Host,
    record: Record,
    carriers: Carriers,
    looks_at_once: int = LOOKS_AT_ONCE,
) -> tuple[Entry, ...]:
    """Look after a manifest that still waits for its resume, before a new drain begins.

    What runs again is given back to Docker, with its restart policy; so the new plan sees it as
    its owner set it. What is still down, or could not be given back, is returned, to be kept in
    the new manifest. So is who was left to Docker but uses something that is down.
    """
    require_same_engine(record.manifest, engine, engine.facts())
    take_up(record, carriers)
    kept: list[Entry] = []
    pending = [e for e in record.manifest.entries if not e.state.ended]
    with ThreadPoolExecutor(looks_at_once, thread_name_prefix="look") as pool:
        looks = {e.id: pool.submit(look, engine, host, e) for e in pending}
    for entry in record.manifest.entries:
        if entry.state.ended:
            if entry.state is State.RESTORED and entry.checkpoint_state is CheckpointState.COMPLETE:
                # A resume ended before it came to that, and the next manifest tells nothing of it.
                with suppress(DrainerError):
                    carriers[entry.route].delete(entry)
            continue
        try:
            container = looks[entry.id].result()
        except ContainerGoneError:
            forget(record, carriers, entry, "removed since the drain")
            continue
        except EngineError:
            kept.append(entry)
            continue
        settled = entry
        if container.running or next_step(entry, container) is Step.RELEASE:
            settled = release(engine, host, record, carriers, entry, "it ran again before a resume")
        if not settled.state.ended:
            kept.append(settled)
    down = {e.id for e in kept}
    waiting = waiting_users(record.manifest.entries)
    users = (e for e in record.manifest.entries if e.id in waiting - down and e.state is State.LEFT)
    return (*kept, *users)


def adds(plan: Plan, manifest: Manifest) -> bool:
    """Tell whether a plan has anything to carry, or to report, that a settled manifest has not."""
    known = {e.id for e in manifest.entries if e.state in {State.LEFT, State.STOPPED}}
    return bool(plan.carried) or any(e.container.id not in known for e in plan.entries)


def new_manifest(
    plan: Plan, kept: tuple[Entry, ...], options: DrainOptions, now: datetime
) -> Manifest:
    """Make the manifest of a plan: one entry for each container, and those still to be resumed."""
    drain_id = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    unfinished = {e.id for e in kept if not e.state.ended}
    planned = [_entry(e, drain_id) for e in plan.entries if e.container.id not in unfinished]
    needs = {e.id: e.needs for e in kept}
    new = {e.id: replace(e, needs=_united(e.needs, needs.get(e.id, ()))) for e in planned}
    entries = (*(e for e in kept if e.id not in new), *new.values())
    if kept:
        # Each drain ordered its own: one that still waits may use one that is drained again.
        wave_of = waves({e.id: [(need, Bond.NETWORK) for need in e.needs] for e in entries})
        entries = tuple(replace(e, wave=wave_of[e.id]) for e in entries)
    return Manifest(
        drain_id=drain_id,
        created=now.astimezone(UTC).isoformat(timespec="seconds"),
        trigger=options.trigger,
        reason=options.reason,
        by=options.by,
        host=plan.host,
        engine=plan.engine,
        entries=entries,
    )


def _united(some: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *more)))


def _entry(planned: PlanEntry, drain_id: str) -> Entry:
    container = planned.container
    skipped = planned.verdict is Verdict.SKIP
    return Entry(
        id=container.id,
        name=container.name,
        image=container.image,
        state=State.LEFT if skipped else State.PLANNED,
        restart_policy=container.restart_policy,
        started_at=container.started_at,
        paused=container.paused,
        addresses=container.addresses,
        ports=container.ports,
        wave=planned.wave,
        needs=planned.needs,
        route=planned.route,
        runtime_root=planned.runtime_root,
        criu_options=planned.criu_options,
        priority=planned.priority,
        group=planned.wish.group,
        timeout=planned.wish.timeout,
        on_restore_failure=fallback.value if (fallback := planned.wish.on_restore_failure) else "",
        checkpoint="" if skipped else checkpoint_name(drain_id),
        skip_reason=planned.reasons[0].id if skipped else "",
        detail=planned.reasons[0].sentence if skipped else "",
        notes=tuple(note.sentence for note in planned.notes if note.id in LOSSES),
    )


def drain(
    plan: Plan,
    engine: Engine,
    host: Host,
    carriers: Carriers,
    file: ManifestFile,
    deadline: Deadline,
    options: DrainOptions,
    on_change: Callable[[Entry], None] = lambda _entry: None,
    kept: tuple[Entry, ...] = (),
) -> Manifest:
    """Checkpoint every eligible container of `plan` and take it down; return the manifest.

    Users go before what they use, and of those that could be next, what is worth most to its owner.
    What has no room, or does not fit into the budget, is left to Docker untouched. Until a
    container is killed, any failure leaves it running with nothing but a pause behind it, its
    policy put back, and the others go on.
    """
    manifest = new_manifest(plan, kept, options, datetime.now(UTC))
    record = Record(file, manifest)
    past = keep_last(file)
    file.write(manifest)
    file.keep_reserve(manifest)
    # No manifest speaks any more of what else is there.
    if past is not None:
        names = {e.checkpoint for e in manifest.entries if e.checkpoint}
        names.update(map(checkpoint_name, past))
        for carrier in carriers.values():
            carrier.prune(names)
    evidence_file.prune(file.directory, {e.id for e in manifest.entries if e.evidence})
    new = {e.id for e in manifest.entries if e.state is State.PLANNED}
    # What may be ended in vain must not take the time of what is surely done.
    left = deadline.left
    ordered = sorted(plan.carried, key=lambda e: doubtful(checkpoint_bytes(e.expected_bytes), left))
    entries = {e.container.id: e for e in ordered if e.container.id in new}
    lanes = Lanes(entries.values(), options.parallel, lambda: deadline.left)
    worker = TakeDown(
        engine,
        host,
        carriers,
        record,
        deadline,
        options,
        on_change,
        entries,
        Admission(lambda: host.places(plan.engine, str(file.directory.path)), deadline),
        lanes,
        plan.near_addresses,
    )
    members, before = _teams(entries)
    urgent = urgency(entries.values())
    run_in_order(
        before,
        lambda team: worker.carry(members[team]),
        options.parallel,
        {team: max(urgent[i] for i in ids) for team, ids in members.items()},
        lambda team, others: lanes.admits(members[team], [members[other] for other in others]),
    )
    return record.manifest


def _teams(entries: Mapping[str, PlanEntry]) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
    """Return who is drained in one go, by one of them, and for each the teams that go before it."""
    # A cycle was cut by the order of the waves.
    uses = {
        i: [p for p in e.needs if p in entries and entries[p].wave > e.wave]
        for i, e in entries.items()
    }
    team_of = teams(uses, {i: e.wish.group for i, e in entries.items()})
    members: dict[str, list[str]] = {}
    for identity in entries:
        members.setdefault(team_of[identity], []).append(identity)
    before: dict[str, set[str]] = {team: set() for team in members}
    for user, providers in uses.items():
        for provider in providers:
            if team_of[provider] != team_of[user]:
                before[team_of[provider]].add(team_of[user])
    return members, before


def outcome_counts(manifest: Manifest) -> tuple[int, int]:
    """Return how many containers were to be carried, and how many are down with a checkpoint."""
    eligible = [e for e in manifest.entries if not e.skip_reason]
    carried = (CheckpointState.COMPLETE, State.STOPPED)
    return len(eligible), sum((e.checkpoint_state, e.state) == carried for e in eligible)
