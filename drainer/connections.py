"""Which connections of a container can be kept over a reboot. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from drainer import labels
from drainer.config.choices import Tcp
from drainer.model import Bond, Container, Subject, Wish

_LOOPBACK = ("127.0.0.1", "::1")
_NO_GROUP = "-"
"""No name of a group: stands for who keeps no connections."""

Uses = Mapping[str, Sequence[tuple[str, Bond]]]
"""For each container what it uses, and how."""


def near_addresses(own: Iterable[str], containers: Iterable[Container]) -> frozenset[str]:
    """Return the addresses that go away with this host: its `own`, and those of its containers."""
    found = (t for c in containers for a in c.addresses for t in (a.ipv4, a.ipv6) if t)
    return frozenset((*own, *found))


def keep_any(containers: Iterable[Container], wishes: Mapping[str, Wish]) -> bool:
    """Tell whether anybody is to keep connections."""
    wished = (labels.wish(c.labels, wishes.get(c.id, Wish())) for c in containers)
    return any(wish.tcp is Tcp.KEEP for wish in wished)


def with_connections(
    subjects: Mapping[str, Subject],
    bonds: Uses,
    tracked: Collection[tuple[str, str]],
    near: frozenset[str],
) -> dict[str, Subject]:
    """Tell each container where connections lead that can be kept.

    `tracked` is `drainer.host.base.Host.tracked`, `near` is `near_addresses`. In a network
    namespace all must keep theirs, in one group: others' ends would be closed.
    """
    owners = {
        i: next((p for p, bond in bonds[i] if bond is Bond.NETWORK and p in subjects), i)
        for i in subjects
    }
    sharing: defaultdict[str, set[str]] = defaultdict(set)
    residents: defaultdict[str, int] = defaultdict(int)
    for identity, subject in subjects.items():
        keeps = subject.wish.tcp is Tcp.KEEP and subject.container.network_mode != "host"
        sharing[owners[identity]].add(subject.wish.group if keeps else _NO_GROUP)
        residents[owners[identity]] += 1
    inside: defaultdict[str, list[str]] = defaultdict(list)
    for owner, groups in sharing.items():
        if len(groups) == 1 and _NO_GROUP not in groups:
            inside[next(iter(groups))] += _texts(subjects[owner].container)
    found = {}
    for identity, subject in subjects.items():
        owner, group = owners[identity], subject.wish.group
        if sharing[owner] != {group}:
            found[identity] = subject
            continue
        own = _texts(subjects[owner].container)
        # The first of several to be taken down one by one would take the others' ends with it.
        together = bool(group) or residents[owner] == 1
        far = {peer for address, peer in tracked if together and address in own}
        found[identity] = replace(
            subject,
            group_addresses=(*_LOOPBACK, *(inside[group] if group else own)),
            far_addresses=frozenset(far - near),
        )
    return found


def _texts(container: Container) -> list[str]:
    return [text for a in container.addresses for text in (a.ipv4, a.ipv6) if text]
