"""The plan: what a drain would do now, decided from facts alone."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from drainer.model import (
    Container,
    EngineFacts,
    Finding,
    HostFacts,
    Plan,
    PlanEntry,
    ProcessFacts,
    Provider,
    Subject,
    Verdict,
)
from drainer.order import Bonds, all_bonds, waves
from drainer.rules import notes, refusals, skip_reasons


def _judge(
    subjects: Mapping[str, Subject], bonds: Bonds, wave_of: Mapping[str, int]
) -> dict[str, tuple[Finding, ...]]:
    """Return each container's skip reasons; those of its providers count among them.

    Providers come first, so the second round changes nothing unless containers use each other in
    a circle. Rounds only ever skip more containers, so they end.
    """
    providers_first = sorted(subjects, key=lambda i: (-wave_of[i], i))
    reasons: dict[str, tuple[Finding, ...]] = {}
    changed = True
    while changed:
        changed = False
        for identity in providers_first:
            subject = subjects[identity]
            used = tuple(
                Provider(
                    provider, subjects[provider].container.name, bond, not reasons.get(provider)
                )
                for provider, bond in bonds[identity]
            )
            found = skip_reasons(replace(subject, providers=used))
            changed = changed or bool(found) != bool(reasons.get(identity))
            reasons[identity] = found
    return reasons


def make_plan(
    host: HostFacts,
    engine: EngineFacts,
    containers: Collection[Container],
    processes: Mapping[str, ProcessFacts],
) -> Plan:
    """Judge and order the running containers. `processes` is by container id.

    A container whose processes are missing is skipped, as it is when they could not be seen.
    When the host refuses, every entry is skipped with the refusals as its reasons. Entries come
    by wave, then name. Their `needs` may go in a circle; the waves never do. Never raises.
    """
    known = {container.id: container for container in containers}
    bonds = all_bonds(known.values())
    wave_of = waves(bonds)
    subjects = {
        identity: Subject(container, processes.get(identity, ProcessFacts()), host, engine)
        for identity, container in known.items()
    }
    refused = refusals(host, engine)
    reasons = dict.fromkeys(known, refused) if refused else _judge(subjects, bonds, wave_of)
    entries = (
        PlanEntry(
            container=subject.container,
            verdict=Verdict.SKIP if reasons[identity] else Verdict.CARRY,
            reasons=reasons[identity],
            notes=() if reasons[identity] else notes(subject),
            wave=wave_of[identity],
            needs=tuple(dict.fromkeys(provider for provider, _ in bonds[identity])),
            expected_bytes=subject.processes.expected_bytes,
        )
        for identity, subject in subjects.items()
    )
    ordered = sorted(entries, key=lambda e: (e.wave, e.container.name, e.container.id))
    return Plan(host, engine, refused, tuple(ordered))
