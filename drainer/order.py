"""The order among containers: who uses whom, and who is drained before whom.

Users are drained before their providers and resumed after them. References come from names and
labels that anyone can write, so whatever they say, nothing here raises.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from graphlib import TopologicalSorter

from drainer.labels import LABEL_PROJECT
from drainer.model import Bond, Container

Bonds = Mapping[str, Collection[tuple[str, Bond]]]
"""For each container's id, the ids of its providers and how it uses each."""

_SERVICE = "com.docker.compose.service"
_DEPENDS_ON = "com.docker.compose.depends_on"
_ONE_OFF = "com.docker.compose.oneoff"

_STRONGEST_FIRST = (Bond.NETWORK, Bond.PID, Bond.IPC, Bond.VOLUMES, Bond.LINK, Bond.COMPOSE)
_STRENGTH = {bond: rank for rank, bond in enumerate(_STRONGEST_FIRST)}


class _Directory:
    """Finds containers by what others call them."""

    def __init__(self, containers: Iterable[Container]) -> None:
        self._ids: set[str] = set()
        self._names: dict[str, str] = {}
        services: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for container in containers:
            self._ids.add(container.id)
            self._names[container.name.removeprefix("/")] = container.id
            labels = container.labels
            if labels.get(_SERVICE) and labels.get(_ONE_OFF, "").lower() != "true":
                services[labels.get(LABEL_PROJECT, ""), labels[_SERVICE]].add(container.id)
        self._services = services

    def find(self, reference: str) -> tuple[str, ...]:
        """Resolve as Docker does: whole id, name, then the start of one id."""
        wanted = reference.removeprefix("/")
        if not wanted:
            return ()
        if wanted in self._ids:
            return (wanted,)
        if wanted in self._names:
            return (self._names[wanted],)
        starting = tuple(known for known in self._ids if known.startswith(wanted))
        return starting if len(starting) == 1 else ()

    def replicas(self, project: str, service: str) -> tuple[str, ...]:
        """All containers of a Compose service, without those of `docker compose run`."""
        return tuple(self._services.get((project, service), ())) if project else ()


def _joined(mode: str) -> tuple[str, ...]:
    kind, _, reference = mode.partition(":")
    return (reference,) if kind == "container" else ()


def _depends_on(labels: Mapping[str, str]) -> Iterable[str]:
    """Read `service:condition:restart,...`, or only services, as older Compose wrote."""
    entries = labels.get(_DEPENDS_ON, "").split(",")
    return dict.fromkeys(entry.partition(":")[0].strip() for entry in entries)


def _bonds(container: Container, directory: _Directory) -> tuple[tuple[str, Bond], ...]:
    references = {
        Bond.NETWORK: _joined(container.network_mode),
        Bond.PID: _joined(container.pid_mode),
        Bond.IPC: _joined(container.ipc_mode),
        Bond.VOLUMES: container.volumes_from,
        Bond.LINK: container.links,
    }
    found = {
        (provider, bond)
        for bond, names in references.items()
        for name in names
        for provider in directory.find(name)
    }
    project = container.labels.get(LABEL_PROJECT, "")
    found.update(
        (provider, Bond.COMPOSE)
        for service in _depends_on(container.labels)
        for provider in directory.replicas(project, service)
    )
    others = (use for use in found if use[0] != container.id)
    return tuple(sorted(others, key=lambda use: (_STRENGTH[use[1]], use[0])))


def providers(
    container: Container, all_running: Iterable[Container]
) -> tuple[tuple[str, Bond], ...]:
    """Return the ids of the containers that this one uses, and how; the strongest bonds first.

    One that is used in several ways appears once for each. References to the container itself,
    to nothing that runs, or to more than one id are left out.
    """
    return _bonds(container, _Directory(all_running))


def all_bonds(containers: Collection[Container]) -> dict[str, tuple[tuple[str, Bond], ...]]:
    """Return `providers` for each container, by its id."""
    directory = _Directory(containers)
    return {container.id: _bonds(container, directory) for container in containers}


def _finished_last(uses: Mapping[str, Collection[str]]) -> list[str]:
    """Return the nodes in the reverse order in which a depth-first search leaves them."""
    order: list[str] = []
    seen: set[str] = set()
    for root in uses:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(uses[root]))]
        while stack:
            node, rest = stack[-1]
            for following in rest:
                if following not in seen:
                    seen.add(following)
                    stack.append((following, iter(uses[following])))
                    break
            else:
                order.append(node)
                stack.pop()
    return order[::-1]


def _cycles(uses: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Name for each node one node of its strongly connected component (Kosaraju's algorithm)."""
    used_by: dict[str, list[str]] = {node: [] for node in uses}
    for node, following in uses.items():
        for other in following:
            used_by[other].append(node)
    component: dict[str, str] = {}
    for root in _finished_last(uses):
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in component:
                component[node] = root
                stack.extend(used_by[node])
    return component


def _without_cycles(bonds: Bonds) -> dict[str, set[str]]:
    """Return who uses whom, after dropping the weakest bonds of each cycle until there is none."""
    edges = {
        (user, provider, bond)
        for user, uses in bonds.items()
        for provider, bond in uses
        if provider in bonds and provider != user
    }
    for weakest in (*reversed(_STRONGEST_FIRST), None):
        uses: dict[str, set[str]] = {node: set() for node in bonds}
        for user, provider, _ in edges:
            uses[user].add(provider)
        if weakest is None:
            break
        component = _cycles(uses)
        edges = {
            (user, provider, bond)
            for user, provider, bond in edges
            if bond is not weakest or component[user] != component[provider]
        }
    return uses


def waves(bonds: Bonds) -> dict[str, int]:
    """Return each container's wave: 0 for those that no other uses, more for their providers.

    A provider's wave is above those of all its users. Where containers use each other in a
    circle, the bonds between them are ignored, the weakest kind first, until the circle is open;
    the result does not depend on the order of the input.
    """
    users: dict[str, set[str]] = {node: set() for node in bonds}
    for user, used in _without_cycles(bonds).items():
        for provider in used:
            users[provider].add(user)
    sorter = TopologicalSorter(users)
    sorter.prepare()
    wave_of: dict[str, int] = {}
    wave = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        wave_of.update(dict.fromkeys(ready, wave))
        sorter.done(*ready)
        wave += 1
    return wave_of


def teams(uses: Mapping[str, Collection[str]], group_of: Mapping[str, str]) -> dict[str, str]:
    """Name for each container one of those with which it is drained in one go, often itself.

    `uses` says who uses whom, without a circle; `group_of` names groups, empty for none. Groups
    that use each other are one team: none of them could go before the other.
    """
    members: defaultdict[str, list[str]] = defaultdict(list)
    for node in uses:
        if group_of.get(node):
            members[group_of[node]].append(node)
    linked = {node: [used for used in uses[node] if used in uses] for node in uses}
    for ring in members.values():
        for one, following in zip(ring, (*ring[1:], ring[0]), strict=True):
            linked[one].append(following)
    return _cycles(linked)
