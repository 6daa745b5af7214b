"""The plan: what a drain would do now, decided from facts alone."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from drainer import labels, priority, room
from drainer.addresses import kept
from drainer.config.choices import Tcp
from drainer.connections import near_addresses, with_connections
from drainer.criu_options import TRACKING, criu_options
from drainer.model import (
    ROUTES,
    Bond,
    Container,
    EngineFacts,
    Finding,
    HostFacts,
    Plan,
    PlanEntry,
    ProcessFacts,
    Provider,
    Route,
    Subject,
    Verdict,
    Wish,
)
from drainer.order import Bonds, all_bonds, waves
from drainer.rules import notes, refusals, skip_reasons
from drainer.rules.namespaces import group_incomplete
from drainer.storage import NOT_KNOWN, Places

Reasons = Mapping[Route, tuple[Finding, ...]]
"""For each route that is considered, why it cannot carry a container; the preferred one first."""


def chosen_route(reasons: Reasons) -> Route | None:
    """Return the first route with nothing against it."""
    return next((route for route, found in reasons.items() if not found), None)


def _skipped_itself(reasons: Reasons) -> bool:
    """Tell whether a container would be skipped if it were in no group."""
    return all(any(f.id != group_incomplete.id for f in found) for found in reasons.values())


def _groups(subjects: Mapping[str, Subject]) -> Mapping[str, tuple[str, ...]]:
    """Return the ids of each group's containers, by the group's name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for identity, subject in subjects.items():
        if subject.wish.group:
            found[subject.wish.group].append(identity)
    return {name: tuple(members) for name, members in found.items()}


def _worth(
    subjects: Mapping[str, Subject],
    needs: Mapping[str, Iterable[str]],
    wave_of: Mapping[str, int],
    carried: Collection[str],
) -> dict[str, int]:
    """Return each container's priority by id, with those of its users and of its group.

    Users that are not `carried` do not count. Each round only raises some, so rounds end.
    """
    found = {identity: subject.wish.priority for identity, subject in subjects.items()}
    groups = _groups(subjects).values()
    while True:
        raised = dict(found)
        for members in groups:
            raised |= dict.fromkeys(members, max(raised[member] for member in members))
        raised = priority.effective(raised, needs, wave_of, carried)
        if raised == found:
            return found
        found = raised


def skipping_reasons(reasons: Reasons) -> tuple[Finding, ...]:
    """Return why no route can carry a container: what holds on all of them, else all there is."""
    every = {f.id: f for found in reasons.values() for f in found}
    common = [f for f in every.values() if all(f in found for found in reasons.values())]
    return tuple(common or every.values())


def _judge(
    subjects: Mapping[str, Subject],
    refused: Reasons,
    bonds: Bonds,
    wave_of: Mapping[str, int],
) -> dict[str, Reasons]:
    """Return each container's reasons; skipped providers and a group's skipped members count.

    Providers come first, so the second round changes nothing unless containers use each other in
    a circle, or are in groups. Rounds only ever skip more containers, so they end.
    """
    groups = _groups(subjects)
    providers_first = sorted(subjects, key=lambda i: (-wave_of[i], i))
    reasons: dict[str, Reasons] = {}
    changed = True
    while changed:
        changed = False
        for identity in providers_first:
            subject = subjects[identity]
            used = tuple(
                Provider(
                    provider,
                    subjects[provider].container.name,
                    bond,
                    provider not in reasons or chosen_route(reasons[provider]) is not None,
                )
                for provider, bond in bonds[identity]
            )
            lacking = tuple(
                subjects[other].container.name
                for other in groups.get(subject.wish.group, ())
                if other != identity and other in reasons and _skipped_itself(reasons[other])
            )
            asked = replace(subject, providers=used, group_skipped=lacking)
            found = {
                route: against or skip_reasons(asked, route) for route, against in refused.items()
            }
            before = reasons.get(identity)
            known = before is not None and chosen_route(before) == chosen_route(found)
            changed = changed or (not known and chosen_route(found) is None)
            reasons[identity] = found
    return reasons


def make_plan(
    host: HostFacts,
    engine: EngineFacts,
    containers: Collection[Container],
    processes: Mapping[str, ProcessFacts],
    routes: Sequence[Route] = ROUTES,
    places: Places = NOT_KNOWN,
    wishes: Mapping[str, Wish] = MappingProxyType({}),
    own_addresses: Collection[str] = (),
    tracked: Collection[tuple[str, str]] = (),
) -> Plan:
    """Judge and order the running containers. `processes` and `wishes` are by container id.

    `own_addresses` are the host's, and `tracked` what it tracks (`Host.tracked`).

    Each is carried on the first of `routes` with nothing against it, if there is room in `places`;
    what is worth most has the first choice. A container whose processes are missing is skipped, as
    it is when they could not be seen. When the host refuses every route, every entry is skipped
    with the refusals as its reasons. Entries come by wave, then name. Their `needs` may go in a
    circle; the waves never do. Never raises.
    """
    known = {container.id: container for container in containers}
    bonds = all_bonds(known.values())
    wave_of = waves(bonds)
    subjects = {
        identity: Subject(
            container,
            processes.get(identity, ProcessFacts()),
            host,
            engine,
            wish=labels.wish(container.labels, wishes.get(identity, Wish())),
        )
        for identity, container in known.items()
    }
    near = near_addresses(own_addresses, known.values())
    subjects = with_connections(subjects, bonds, tracked, near)
    refused = {route: refusals(host, engine, route) for route in routes}
    judge = partial(_judge, refused=refused, bonds=bonds, wave_of=wave_of)
    needs = {i: tuple(dict.fromkeys(provider for provider, _ in bonds[i])) for i in known}
    while True:
        roomy, reasons = _give_room(subjects, judge, needs, wave_of, places)
        changed, reasons = _with_changes(roomy, reasons, judge, bonds)
        changing = {i: changed[i].changing_addresses for i in known}
        settled = all(subjects[i].changing_addresses == changing[i] for i in known)
        if settled:
            break
        # Who is skipped for that leaves its room to others. More is found each time.
        subjects = {i: replace(s, changing_addresses=changing[i]) for i, s in subjects.items()}
    subjects = changed
    carried = {i for i in known if chosen_route(reasons[i]) is not None}
    priorities = _worth(subjects, needs, wave_of, carried)
    entries = (
        _entry(
            subject,
            reasons[identity],
            refused,
            wave_of[identity],
            needs[identity],
            priorities[identity],
        )
        for identity, subject in subjects.items()
    )
    ordered = sorted(entries, key=lambda e: (e.wave, e.container.name, e.container.id))
    against_all = () if chosen_route(refused) else skipping_reasons(refused)
    return Plan(host, engine, against_all, tuple(ordered), tuple(routes), places, near)


def _give_room(
    subjects: dict[str, Subject],
    judge: Callable[[dict[str, Subject]], dict[str, Reasons]],
    needs: Mapping[str, tuple[str, ...]],
    wave_of: Mapping[str, int],
    places: Places,
) -> tuple[dict[str, Subject], dict[str, Reasons]]:
    """Return subjects that know for which routes they have no room, and their reasons.

    A user that would raise a provider's, but has no room beside it,
    does not, and takes only what the others leave; so does a group of which one has none. Each
    round finds another one, so rounds end.
    """
    wanted = judge(subjects)
    wishes = {i: _demands(subjects[i], wanted[i], places) for i in subjects}
    users = {i for i in subjects if chosen_route(wanted[i]) is not None}
    passed_over: set[str] = set()

    def turn(identity: str) -> tuple[bool, int, int, str, str]:
        name = subjects[identity].container.name
        last = identity in passed_over
        return last, -priorities[identity], -wave_of[identity], name, identity

    def alike(identity: str) -> tuple[str, tuple[str, ...]]:
        group = subjects[identity].wish.group
        return group, () if group else needs[identity]

    while True:
        priorities = _worth(subjects, needs, wave_of, users - passed_over)
        worth = sorted(subjects, key=turn)
        no_room = room.allot(((i, wishes[i]) for i in worth), places)
        if not no_room:
            return subjects, wanted
        asked = {i: replace(s, no_room=no_room.get(i, s.no_room)) for i, s in subjects.items()}
        reasons = judge(asked)
        vain = [
            i
            for i in worth
            if i in users - passed_over
            and chosen_route(reasons[i]) is None
            and (
                subjects[i].wish.group
                or any(priorities[i] > subjects[p].wish.priority for p in needs[i])
            )
        ]
        if not vain:
            return asked, reasons
        # Who uses the same may be many, and would have no room in the next round either.
        passed_over |= {i for i in vain if alike(i) == alike(vain[0])}


def _demands(subject: Subject, reasons: Reasons, places: Places) -> dict[Route, room.Demand]:
    """Return what a container takes on each route that can carry it."""
    facts = subject.processes
    return {
        route: room.demand(route, facts.expected_bytes, facts.count, places)
        for route, found in reasons.items()
        if not found
    }


def demands(plan: Plan) -> dict[str, room.Demand]:
    """Return what each container that is carried takes, by its id."""
    return {
        e.container.id: room.demand(e.route, e.expected_bytes, e.processes, plan.places)
        for e in plan.carried
    }


def _with_changes(
    subjects: dict[str, Subject],
    reasons: dict[str, Reasons],
    judge: Callable[[dict[str, Subject]], dict[str, Reasons]],
    bonds: Bonds,
) -> tuple[dict[str, Subject], dict[str, Reasons]]:
    """Return subjects that know which addresses may change, and their reasons.

    Who keeps connections is skipped then, and what is skipped may change more addresses. Rounds
    only ever find more that may change, so they end.
    """
    while True:
        changing = _changing_addresses(subjects, reasons, bonds)
        asked = {
            identity: replace(
                subject,
                changing_addresses=tuple(
                    dict.fromkeys((*subject.changing_addresses, *changing.get(identity, ())))
                ),
            )
            for identity, subject in subjects.items()
        }
        if asked == subjects:
            return subjects, reasons
        subjects = asked
        if any(s.wish.tcp is Tcp.KEEP for s in subjects.values()):
            reasons = judge(subjects)


def _changing_addresses(
    subjects: Mapping[str, Subject], reasons: Mapping[str, Reasons], bonds: Bonds
) -> dict[str, tuple[str, ...]]:
    """Say for each container that is carried which addresses may change, and why.

    Who uses another one's network has that one's addresses.
    """
    carried = [identity for identity in subjects if chosen_route(reasons[identity]) is not None]
    known = [subject.container for subject in subjects.values()]
    found: defaultdict[str, list[str]] = defaultdict(list)
    for prospect in kept(known, carried):
        # Without a stand-in there are no placeholders to hold addresses.
        stand_in = subjects[prospect.container].host.stand_in
        why = prospect.why if stand_in else "nothing can stand in for runc"
        if why:
            found[prospect.container].append(f"{prospect.network}: {why}")
    for identity, uses in bonds.items():
        for provider, bond in uses:
            if bond is Bond.NETWORK and provider in found:
                found[identity] = found[provider]
    return {identity: tuple(sentences) for identity, sentences in found.items()}


def _entry(
    subject: Subject,
    reasons: Reasons,
    refused: Reasons,
    wave: int,
    needs: tuple[str, ...],
    worth: int,
) -> PlanEntry:
    route = chosen_route(reasons)
    if route is None:
        # What the host has against one route is no reason of the container's.
        possible = {route: found for route, found in reasons.items() if not refused[route]}
        return PlanEntry(
            subject.container,
            Verdict.SKIP,
            skipping_reasons(possible or reasons),
            against=reasons,
            wave=wave,
            needs=needs,
            expected_bytes=subject.processes.expected_bytes,
            processes=subject.processes.count,
            priority=worth,
            wish=subject.wish,
        )
    preferred = next(iter(reasons.values()))
    by_runtime = route is Route.RUNTIME
    return PlanEntry(
        subject.container,
        Verdict.CARRY,
        notes=notes(subject),
        route=route,
        route_reasons=preferred,
        against=reasons,
        runtime_root=subject.processes.runtime_root if by_runtime else "",
        criu_options=criu_options(subject) if by_runtime else (),
        pre_dump=by_runtime and _worth_a_pre_dump(subject),
        wave=wave,
        needs=needs,
        expected_bytes=subject.processes.expected_bytes,
        processes=subject.processes.count,
        priority=worth,
        wish=subject.wish,
    )


def _worth_a_pre_dump(subject: Subject) -> bool:
    """Tell whether saving its memory beforehand shortens its freeze by more than it costs."""
    least, memory = subject.wish.pre_dump_mib << 20, subject.processes.expected_bytes
    tracked = TRACKING in subject.host.criu_features
    return bool(least) and tracked and memory >= least and not subject.container.paused
