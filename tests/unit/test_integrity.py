from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from drainer.deadline import Deadline
from drainer.errors import DrainerError
from drainer.evidence import FILES_LIMIT, FileNote
from drainer.host.following import nothing
from drainer.integrity import check_files, restore_obstacle, secure
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import Container, Mount
from drainer.store import evidence_file
from drainer.store.manifest_file import Record
from tests.unit.world import Killed, World, container_id, entry_of

SHARED = (Mount("volume", "/v/shared", "/data"),)
LOG = "/v/shared/log"


def states(manifest: Manifest) -> dict[str, State]:
    return {e.name: e.state for e in manifest.entries}


def images(entry: Entry) -> str:
    return f"/var/lib/docker/containers/{entry.id}/checkpoints/{entry.checkpoint}"


def obstacle(world: World, record: Record, name: str) -> str:
    entry = entry_of(record.manifest, name)
    return restore_obstacle(entry, images(entry), record, world.engine, world.host, Deadline(None))


def share(world: World) -> None:
    """Let `db`, and `web` that uses it and so is resumed after it, write to the same file."""
    db = world.add("db", "always", mounts=SHARED, files=(LOG,))
    world.add("web", "always", mounts=SHARED, files=(LOG,), network_mode=f"container:{db.id}")


def calls(world: World, method: str) -> list[tuple[object, ...]]:
    """Count the calls of a method of the host."""
    made: list[tuple[object, ...]] = []
    call: Callable[..., object] = getattr(world.host, method)

    def counted(*arguments: object) -> object:
        made.append(arguments)
        return call(*arguments)

    setattr(world.host, method, counted)
    return made


def die_before_the_second_restore(world: World) -> None:
    """Let drainer die before the second container's restore is announced."""
    verify = world.host.verify_checkpoint
    seen: list[str] = []

    def dying(directory: str) -> int:
        seen.append(directory)
        if len(seen) == 2:
            world.dead = True
            raise Killed
        return verify(directory)

    world.host.verify_checkpoint = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.resume()
    world.live_again()


def die_at_restore_of(world: World, name: str) -> None:
    """Let drainer die where it would restore a container."""

    def die() -> None:
        world.dead = True
        raise Killed

    world.engine.script("start", name, run=die)
    with pytest.raises(Killed):
        world.resume()
    world.live_again()


def test_images_that_rotted_are_not_restored_and_are_kept(world: World) -> None:
    world.add("web", "always")
    world.add("other", "always")
    drained = world.drain()
    world.engine.rot_checkpoint("web", entry_of(drained, "web").checkpoint)
    world.reboot()
    manifest = world.resume()
    web = entry_of(manifest, "web")
    assert web.state is State.STARTED_COLD
    assert web.checkpoint_state is CheckpointState.UNUSABLE
    assert web.detail.startswith("its checkpoint is damaged: pages-1.img: ")
    assert world.engine.checkpoints("web") == (web.checkpoint,)
    assert entry_of(manifest, "other").state is State.RESTORED
    world.check_promise()


def test_images_are_read_once_at_the_drain_and_once_at_the_resume(world: World) -> None:
    world.add("web", "always")
    made = calls(world, "checksums")
    world.drain()
    assert len(made) == 1
    world.reboot()
    world.resume()
    assert len(made) == 2


def test_images_that_are_no_good_anyhow_are_not_read(world: World) -> None:
    world.add("short", "always")
    world.add("changed", "always", files=("/v/f",))
    drained = world.drain()
    world.engine.damage_checkpoint("short", entry_of(drained, "short").checkpoint)
    world.engine.files.write("/v/f")
    world.reboot()
    made = calls(world, "checksums")
    assert set(states(world.resume()).values()) == {State.STARTED_COLD}
    assert made == []


def test_a_manifest_of_an_older_drainer_is_still_good(world: World) -> None:
    world.add("web", "always", files=("/v/f",))
    drained = world.drain()
    world.file.write(replace(drained, entries=(replace(drained.entries[0], evidence=""),)))
    world.reboot()
    assert states(world.resume()) == {"web": State.RESTORED}


def test_lost_evidence_leads_to_a_cold_start(world: World) -> None:
    web = world.add("web", "always")
    world.drain()
    (world.state / f"evidence-{web.id}.json").write_bytes(b"{}")
    world.reboot()
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.STARTED_COLD
    assert entry.detail.startswith("its checkpoint cannot be checked: evidence-")


@pytest.mark.parametrize(
    ("change", "expected"),
    [("write", "it was written to"), ("replace", "it was replaced"), ("remove", "no longer there")],
)
def test_a_changed_file_is_not_restored_over(world: World, change: str, expected: str) -> None:
    world.add("web", "always", files=("/v/a", "/v/f"))
    world.add("other", "always", files=("/v/g",))
    world.drain()
    getattr(world.engine.files, change)("/v/f")
    world.reboot()
    manifest = world.resume()
    web = entry_of(manifest, "web")
    assert web.state is State.STARTED_COLD
    assert web.checkpoint_state is CheckpointState.UNUSABLE
    assert web.detail.startswith("a file that it uses has changed since its checkpoint: /v/f: ")
    assert web.detail.endswith(expected)
    assert entry_of(manifest, "other").state is State.RESTORED
    world.check_promise()


def test_what_a_skipped_neighbour_writes_at_boot_is_a_change(world: World) -> None:
    world.add("web", "always", mounts=SHARED, files=(LOG,))
    world.add("shell", "always", tty=True, mounts=SHARED, files=(LOG,))
    world.drain()
    world.reboot()
    assert states(world.resume())["web"] is State.STARTED_COLD
    world.check_promise()


def test_what_a_neighbour_wrote_after_the_dump_is_a_change(world: World) -> None:
    share(world)
    world.engine.script("create_checkpoint", "db", run=lambda: world.engine.files.write(LOG))
    drained = world.drain()
    assert {e.state for e in drained.entries} == {State.STOPPED}
    world.reboot()
    assert states(world.resume()) == {"db": State.RESTORED, "web": State.STARTED_COLD}
    world.check_promise()


def test_what_a_restored_neighbour_writes_is_none(world: World) -> None:
    share(world)
    world.drain()
    world.reboot()
    assert set(states(world.resume()).values()) == {State.RESTORED}
    world.check_promise()


@pytest.mark.parametrize("writable", [True, False])
def test_nor_is_it_if_others_who_run_can_only_look(world: World, writable: bool) -> None:
    share(world)
    everything = (Mount("bind", "/", "/host", writable=writable),)
    world.add("monitor", "always", tty=True, mounts=everything)
    world.drain()
    world.reboot()
    assert (states(world.resume())["web"] is State.RESTORED) != writable
    world.check_promise()


def test_nor_is_it_if_the_neighbour_has_ended_since(world: World) -> None:
    share(world)
    record = Record(world.file, world.drain())
    record.update(container_id("db"), state=State.RESTORED)
    world.engine.files.write(LOG, restored=True)
    assert obstacle(world, record, "web") == ""
    # Of one that is gone nobody knows where it wrote.
    world.engine.remove("db")
    assert LOG in obstacle(world, record, "web")


def test_nor_is_it_when_the_resume_is_run_again(world: World) -> None:
    share(world)
    world.drain()
    world.reboot()
    die_before_the_second_restore(world)
    assert states(world.file.read()) == {"db": State.RESTORED, "web": State.STOPPED}
    world.engine.tick()
    assert set(states(world.resume()).values()) == {State.RESTORED}
    world.check_promise()


def test_after_another_boot_everything_is_looked_at_anew(world: World) -> None:
    share(world)
    world.drain()
    world.reboot()
    die_before_the_second_restore(world)
    world.reboot()
    assert states(world.resume()) == {"db": State.RESTORED, "web": State.STARTED_COLD}
    world.check_promise()


def test_what_a_neighbour_writes_that_had_to_be_started_cold_is_a_change(world: World) -> None:
    share(world)
    drained = world.drain()
    world.engine.damage_checkpoint("db", entry_of(drained, "db").checkpoint)
    world.reboot()
    manifest = world.resume()
    assert set(states(manifest).values()) == {State.STARTED_COLD}
    assert LOG in entry_of(manifest, "web").detail
    world.check_promise()


def test_what_nobody_who_runs_has_written_is_a_change(world: World) -> None:
    world.add("db", "always", files=("/v/f",))
    world.drain()
    world.reboot()
    verify = world.host.verify_checkpoint

    def late(directory: str) -> int:
        world.engine.files.write("/v/f")
        return verify(directory)

    world.host.verify_checkpoint = late  # type: ignore[method-assign]
    assert states(world.resume()) == {"db": State.STARTED_COLD}
    world.check_promise()


@pytest.mark.parametrize("checkpoint", [CheckpointState.COMPLETE, CheckpointState.UNUSABLE])
def test_a_neighbour_may_write_before_docker_calls_it_running(
    world: World, checkpoint: CheckpointState
) -> None:
    share(world)
    record = Record(world.file, world.drain())
    # The cold start of one whose checkpoint is unusable is announced by the same state.
    db = container_id("db")
    record.update(db, state=State.RESTORING, checkpoint_state=checkpoint)
    world.engine.files.write(LOG, restored=True)
    assert (LOG in obstacle(world, record, "web")) == (checkpoint is CheckpointState.UNUSABLE)


def test_the_verdict_is_on_disk_before_the_first_restore(world: World) -> None:
    share(world)
    world.add("changed", "always", files=("/v/f",))
    world.drain()
    world.engine.files.write("/v/f")
    world.reboot()
    die_at_restore_of(world, "db")
    on_disk = world.file.read()
    boot = world.host.facts().boot_id
    assert {e.files_checked for e in on_disk.entries} == {boot}
    assert entry_of(on_disk, "changed").checkpoint_state is CheckpointState.UNUSABLE
    assert entry_of(on_disk, "web").checkpoint_state is CheckpointState.COMPLETE


def test_the_check_is_one_write(world: World) -> None:
    for number in range(5):
        world.add(f"c{number}", files=(f"/v/{number}",))
    manifest = world.drain()
    writes: list[str] = []
    write = world.file.directory.write

    def noting(name: str, data: bytes, *, reserve: bool = False) -> None:
        writes.append(name)
        write(name, data, reserve=reserve)

    world.file.directory.write = noting  # type: ignore[method-assign]
    record = Record(world.file, manifest)
    check_files(record, world.host, "boot", Deadline(None))
    assert len(writes) == 1
    check_files(record, world.host, "boot", Deadline(None))
    assert len(writes) == 1
    check_files(record, world.host, "another boot", Deadline(None))
    assert len(writes) == 2


def test_without_a_boot_id_no_verdict_is_relied_on(world: World) -> None:
    world.add("web", files=("/v/f",))
    record = Record(world.file, world.drain())
    check_files(record, world.host, "", Deadline(None))
    world.engine.files.write("/v/f")
    check_files(record, world.host, "", Deadline(None))
    assert record.manifest.entries[0].checkpoint_state is CheckpointState.UNUSABLE


def test_when_the_budget_is_over_nothing_is_looked_at(world: World) -> None:
    world.add("web", files=("/v/f",))
    record = Record(world.file, world.drain())
    made = calls(world, "look")
    check_files(record, world.host, "boot", Deadline(0.0))
    assert made == []


class Reading:
    """A disk so slow that images are read only for as long as drainer lets it, on its own clock."""

    def __init__(self, world: World) -> None:
        self.now = 0.0
        self._checksums = world.host.checksums
        world.host.checksums = self  # type: ignore[assignment,method-assign]

    def __call__(
        self, directory: str, stop: Callable[[], bool], _known: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        while not stop() and self.now < 1000:
            self.now += 1
        return self._checksums(directory, stop)

    def deadline(self, budget: float | None) -> Deadline:
        return Deadline(budget, lambda: self.now)


@pytest.mark.parametrize(
    ("budget", "dump", "expected"), [(None, 7, 12), (500, 7, 12), (20, 7, 5), (10, 7, 1)]
)
def test_checksums_at_the_drain_take_little_of_the_time(
    world: World, budget: float | None, dump: float, expected: int
) -> None:
    web = world.add("web")
    record = Record(world.file, world.drain())
    reading = Reading(world)
    place = images(record.manifest.entries[0])
    _, notes, _ = secure(world.host, record, web, place, reading.deadline(budget), dump, nothing)
    assert reading.now == expected
    assert notes == ("there was no time for the checksums of its checkpoint",)


def test_what_was_read_during_the_dump_is_not_read_again(world: World) -> None:
    web = world.add("web")
    record = Record(world.file, world.drain())
    place = images(record.manifest.entries[0])
    known = {"pages-1.img": "a" * 64}
    digest, _, _ = secure(world.host, record, web, place, Deadline(None), 0, lambda _: known)
    noted = evidence_file.read(world.file.directory, web.id, digest).images
    assert noted["pages-1.img"] == "a" * 64
    assert noted["inventory.img"].startswith("crc32-")


@pytest.mark.parametrize(
    ("budget", "expected"), [(None, 1000), (500, 250), (100, 40), (60, 1), (1, 1)]
)
def test_checksums_that_a_slow_disk_leaves_no_time_for_are_not_compared(
    world: World, budget: float | None, expected: int
) -> None:
    world.add("web")
    record = Record(world.file, world.drain())
    entry = record.manifest.entries[0]
    world.engine.rot_checkpoint("web", entry.checkpoint)
    reading = Reading(world)
    deadline = reading.deadline(budget)
    why = restore_obstacle(entry, images(entry), record, world.engine, world.host, deadline)
    assert reading.now == expected
    assert bool(why) == (budget is None)


def test_size_is_compared_however_slow_the_disk_is(world: World) -> None:
    world.add("web")
    record = Record(world.file, world.drain())
    entry = replace(record.manifest.entries[0], size=1)
    deadline = Reading(world).deadline(1.0)
    why = restore_obstacle(entry, images(entry), record, world.engine, world.host, deadline)
    assert why.startswith("its checkpoint is damaged: it has ")


def test_an_interruption_while_images_are_read_decides_nothing(world: World) -> None:
    world.add("web")
    record = Record(world.file, world.drain())
    entry = record.manifest.entries[0]
    deadline = Deadline(None)
    deadline.interrupt()
    with pytest.raises(DrainerError, match=r"interrupted"):
        restore_obstacle(entry, images(entry), record, world.engine, world.host, deadline)


def test_a_drain_without_time_for_checksums_keeps_the_memory(world: World) -> None:
    web = world.add("web", "always", files=("/v/f",))

    checksums = world.host.checksums

    def slow(directory: str, stop: Callable[[], bool], _known: Mapping[str, str]) -> dict[str, str]:
        return checksums(directory, lambda: stop() or True)

    world.host.checksums = slow  # type: ignore[assignment,method-assign]
    entry = entry_of(world.drain(), "web")
    assert entry.state is State.STOPPED
    assert entry.notes == ("there was no time for the checksums of its checkpoint",)
    evidence = evidence_file.read(world.file.directory, web.id, entry.evidence)
    assert [n.path for n in evidence.files] == ["/v/f"]
    world.host.checksums = checksums  # type: ignore[method-assign]
    world.reboot()
    assert states(world.resume()) == {"web": State.RESTORED}


def test_who_has_too_many_files_open_is_told_so(world: World) -> None:
    few = tuple(f"/v/{n}" for n in range(FILES_LIMIT))
    world.add("few", files=few)
    world.add("many", files=(*few, "/v/more"))
    manifest = world.drain()
    assert entry_of(manifest, "few").notes == ()
    (note,) = entry_of(manifest, "many").notes
    assert note == f"it has more files open than are checked for changes: {FILES_LIMIT} are"


def test_files_are_noted_after_the_flush_and_before_the_kill(world: World) -> None:
    web = world.add("web", mounts=(*SHARED, Mount("bind", "/net", "/net")))
    world.host.networked = frozenset({"/net"})
    world.host.layers[web.id] = "/var/lib/docker/overlay2/x/diff"
    order: list[str] = []

    def noted(container: Container, limit: int) -> tuple[FileNote, ...]:
        assert container.paused
        assert limit == FILES_LIMIT + 1
        order.extend(world.host.flushed)
        return ()

    world.host.files_in_use = noted  # type: ignore[method-assign]
    world.drain()
    assert order[1:] == ["/var/lib/docker/overlay2/x/diff", "/v/shared"]


def test_the_next_drain_deletes_what_it_has_no_use_for(world: World) -> None:
    world.add("web", "always")
    down = world.add("down")
    world.drain()
    world.engine.start("web", 1)
    world.drain()
    names = {name for name in world.file.directory.names() if name.startswith("evidence-")}
    assert names == {f"evidence-{down.id}.json", f"evidence-{container_id('web')}.json"}
    world.reboot()
    assert set(states(world.resume()).values()) == {State.RESTORED}
    world.engine.change("web", tty=True)
    world.engine.change("down", tty=True)
    world.drain()
    assert not [n for n in world.file.directory.names() if n.startswith("evidence-")]
