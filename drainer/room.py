"""Whether checkpoints have room where they are written. Pure.

A checkpoint takes room that lasts until it was restored from, and on the engine route room that it
takes in passing, at the dump and again at the restore: containerd's two copies.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from drainer.model import Route
from drainer.storage import FileSystem, Places
from drainer.text import printable, size

FIXED = 4 << 20
"""Bytes of a checkpoint beside its memory: images of processes and files, logs."""
PAGES_PER_MAP = 64
"""One byte of page maps and the like for so many of memory, at most (criu images/pagemap.proto)."""
FILES = 64
FILES_OF_A_PROCESS = 12
"""Files of a checkpoint: some for the container, and some for each process and its threads."""

BYTES_KEPT = 64 << 20
INODES_KEPT = 256
MEMORY_KEPT = 128 << 20
"""What stays free, of each file system and of memory, for whatever else is written meanwhile."""

_BYTES, _INODES, _MEMORY = "bytes", "files", "memory"


class Resource(NamedTuple):
    """Something that runs out: bytes or files of a file system, or memory."""

    kind: str
    place: str = ""
    """The file system's id."""


Amounts = Mapping[Resource, int]


@dataclass(frozen=True, slots=True)
class Demand:
    """What one checkpoint takes."""

    lasting: Amounts
    """From its dump until it was restored from."""
    passing: Amounts
    """Only while it is made, and while it is restored from."""


@dataclass(frozen=True, slots=True)
class Use:
    """What the checkpoints of a plan take of one file system, or of memory. Sizes are bytes."""

    path: str
    """One of the places on it; `memory` for memory."""
    lasting: int
    """All checkpoints together."""
    passing: int
    """The largest copies that are there only in passing."""
    free: int | None
    """What there is, before anything is kept in reserve."""
    in_memory: bool = False


def checkpoint_bytes(memory: int) -> int:
    """Return what a checkpoint of so many bytes of memory takes on disk, rather more than less."""
    return memory + memory // PAGES_PER_MAP + FIXED


def demand(route: Route, memory: int, processes: int, places: Places) -> Demand:
    """Return what one checkpoint takes; `memory` is in bytes.

    Engine route: CRIU writes to the temporary directory, containerd packs that into its content
    store, Docker unpacks it into its root, and a restore goes the same way back (moby
    daemon/checkpoint.go, libcontainerd/remote/client.go, containerd services/tasks/local.go).
    """
    wanted = checkpoint_bytes(memory)
    files = FILES + FILES_OF_A_PROCESS * processes
    if route is Route.RUNTIME:
        return Demand(_taken(((places.state, files),), wanted), {})
    copies = ((places.temporary, files), (places.content, 2))
    return Demand(_taken(((places.docker, files),), wanted), _taken(copies, wanted))


def for_restore(route: Route, checkpoint: int, places: Places) -> Amounts:
    """Return what one restore takes in passing; `checkpoint` is the size of what is there."""
    return demand(route, checkpoint, 1, places).passing


def _taken(where: Iterable[tuple[FileSystem, int]], wanted: int) -> Amounts:
    amounts: Counter[Resource] = Counter()
    for system, files in where:
        amounts[Resource(_BYTES, system.id)] += wanted
        amounts[Resource(_INODES, system.id)] += files
        if system.in_memory:
            amounts[Resource(_MEMORY)] += wanted
    return amounts


def available(places: Places) -> Amounts:
    """Return what checkpoints may take. What is not in it is unknown, and limits nothing."""
    found: dict[Resource, int] = {}
    for system in _systems(places):
        if system.free is not None:
            found[Resource(_BYTES, system.id)] = system.free - BYTES_KEPT
        if system.inodes is not None:
            found[Resource(_INODES, system.id)] = system.inodes - INODES_KEPT
    if places.memory is not None:
        found[Resource(_MEMORY)] = places.memory - MEMORY_KEPT
    return found


def shortage(free: Amounts, wanted: Amounts) -> Resource | None:
    """Return the first resource of which more is wanted than there is, if any."""
    return next((r for r, amount in wanted.items() if amount > free.get(r, amount)), None)


def together(*amounts: Amounts) -> Counter[Resource]:
    """Add up."""
    total: Counter[Resource] = Counter()
    for each in amounts:
        total.update(each)
    return total


def largest(amounts: Iterable[Amounts]) -> Amounts:
    """Return the largest of each resource."""
    found: dict[Resource, int] = {}
    for each in amounts:
        for resource, amount in each.items():
            found[resource] = max(amount, found.get(resource, 0))
    return found


def allot(
    wishes: Iterable[tuple[str, Mapping[Route, Demand]]], places: Places
) -> dict[str, dict[Route, str]]:
    """Give room to the first wishes first; return for the others which routes have none, and why.

    Each wish names a container and its possible routes, the preferred one first; it is given the
    first one with room. What lasts must fit together, what is passing only one after the other.
    """
    free = available(places)
    lasting: Counter[Resource] = Counter()
    passing: Amounts = {}
    refused: dict[str, dict[Route, str]] = {}
    for container, demands in wishes:
        for route, wanted in demands.items():
            more = together(lasting, wanted.lasting)
            most = largest((passing, wanted.passing))
            lacking = shortage(free, together(more, most))
            if lacking is None:
                lasting, passing = more, most
                break
            own = together(wanted.lasting, wanted.passing)[lacking]
            beside = lasting[lacking] + max(
                0, passing.get(lacking, 0) - wanted.passing.get(lacking, 0)
            )
            why = lack(lacking, own, free[lacking] - beside, places)
            refused.setdefault(container, {})[route] = why
    return refused


def side_by_side(demands: Iterable[Demand], places: Places) -> int:
    """Return how many of these checkpoints can be made at once; all must fit one by one."""
    demands = tuple(demands)
    free = available(places)
    lasting = together(*(d.lasting for d in demands))
    count = len(demands)
    for resource in {r for d in demands for r in d.passing}:
        rest = free.get(resource)
        if rest is None:
            continue
        rest -= lasting[resource]
        sizes = sorted((d.passing.get(resource, 0) for d in demands), reverse=True)
        while count > 1 and sum(sizes[:count]) > rest:
            count -= 1
    return count


def uses(demands: Iterable[Demand], places: Places) -> tuple[Use, ...]:
    """Say what these checkpoints take of each file system and of memory."""
    demands = tuple(demands)
    lasting = together(*(d.lasting for d in demands))
    passing = together(largest(d.passing for d in demands))
    taken = together(lasting, passing)
    found = [
        Use(system.path, lasting[key], passing[key], system.free, system.in_memory)
        for system in {system.id: system for system in reversed(_systems(places))}.values()
        if taken[key := Resource(_BYTES, system.id)]
    ]
    memory = Resource(_MEMORY)
    if taken[memory]:
        found.append(Use(_MEMORY, lasting[memory], passing[memory], places.memory, in_memory=True))
    return tuple(sorted(found, key=lambda use: use.path))


def lack(resource: Resource, wanted: int, free: int, places: Places) -> str:
    """Say what there is too little of."""
    free = max(free, 0)
    if resource.kind == _MEMORY:
        return f"{size(wanted)} of memory needed, {size(free)} available"
    path = next((s.path for s in _systems(places) if s.id == resource.place), "")
    if resource.kind == _INODES:
        return f"{printable(path)}: {wanted} new files needed, {free} possible"
    return f"{printable(path)}: {size(wanted)} needed, {size(free)} available"


def _systems(places: Places) -> tuple[FileSystem, ...]:
    return (places.state, places.docker, places.temporary, places.content)
