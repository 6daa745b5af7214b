"""Checkpoints are read while Docker starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from drainer.deadline import Deadline
from drainer.errors import CheckpointInvalidError
from drainer.host.checksum import checksum
from drainer.manifest import State
from drainer.reading_ahead import read_ahead
from tests.unit.world import World, container_id


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.add("web", "always")
    world.add("db", "always")
    world.drain()
    world.reboot()
    return world


def read(world: World, room: int | None = None, most: int = 99) -> list[str]:
    """Read ahead; return of which containers, in order."""
    manifest = world.file.read()
    carriers = world.carriers(manifest.engine, Deadline(None))
    left = list(range(most))
    count = read_ahead(manifest, world.host, carriers, room, lambda: not (left and left.pop()))
    names = {container_id(name): name for name in ("web", "db")}
    found = [names[i] for place in world.host.ahead for i in names if i in place]
    assert count == len(found)
    return found


def test_what_waits_is_read_and_known_to_the_resume(world: World) -> None:
    assert sorted(read(world)) == ["db", "web"]
    assert {e.state for e in world.resume().entries} == {State.RESTORED}
    world.check_promise()


def test_a_checksum_that_was_found_ahead_decides(world: World) -> None:
    read(world)
    for checksums in world.host.ahead.values():
        checksums["pages-1.img"] = checksum(b"other")
    resumed = world.resume()
    assert {e.state for e in resumed.entries} == {State.STARTED_COLD}
    assert {"not that of the drain" in e.detail for e in resumed.entries} == {True}
    world.check_promise()


def test_what_ended_is_not_read(world: World) -> None:
    world.resume()
    assert read(world) == []


def test_no_more_is_read_than_fits(world: World) -> None:
    manifest = world.file.read()
    sizes = {e.name: e.size for e in manifest.entries}
    large = replace(manifest.entries[0], size=sizes["web"] + sizes["db"] + 1)
    world.file.write(replace(manifest, entries=(large, *manifest.entries[1:])))
    assert read(world, room=large.size - 1) == [manifest.entries[1].name]


def test_it_ends_when_a_resume_begins(world: World) -> None:
    assert read(world, most=0) == []


def test_what_cannot_be_read_is_left_to_the_resume(world: World) -> None:
    def checksums(*_: object) -> dict[str, str]:
        raise CheckpointInvalidError("gone")

    world.host.checksums = checksums  # type: ignore[method-assign, assignment]
    assert read(world) == []
