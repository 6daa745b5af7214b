"""What is kept of past drains, for how long, and how it is listed, shown and discarded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drainer.engine.fake import FACTS as ENGINE
from drainer.errors import DrainerError, EngineError, ExitCode, NoManifestError, StorageError
from drainer.history import Retention, choose, failed_bytes, surplus
from drainer.host.fake import FACTS as HOST
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import ROUTES, RestartPolicy, Route
from drainer.store.history_file import HISTORY_NAME, HistoryFiles
from tests.unit.command import Drainer
from tests.unit.world import Clock, World, entry_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drainer.drain.datetime", Clock)
    monkeypatch.setattr("drainer.resume.datetime", Clock)


def manifest(days_ago: int, *sizes: int) -> Manifest:
    created = NOW - timedelta(days=days_ago)
    entries = tuple(
        Entry(
            id=f"{number:064x}",
            name=f"c{number}",
            image="image",
            state=State.STARTED_COLD,
            restart_policy=RestartPolicy(),
            checkpoint_state=CheckpointState.UNUSABLE,
            size=size,
        )
        for number, size in enumerate(sizes)
    )
    drain_id = created.strftime("%Y%m%dT%H%M%SZ")
    return Manifest(drain_id, created.isoformat(), "manual", HOST, ENGINE, entries)


def fail_once(world: World, name: str = "web") -> str:
    """Drain, damage the checkpoint, and resume; return the drain's id."""
    drained = world.drain()
    entry = entry_of(drained, name)
    world.engine.damage_checkpoint(entry.id, entry.checkpoint)
    world.resume()
    return drained.drain_id


def restore_once(world: World) -> str:
    drain_id = world.drain().drain_id
    world.resume()
    return drain_id


def test_nothing_is_surplus_within_the_limits() -> None:
    found = surplus(manifest(0, 10), [manifest(1, 10), manifest(2)], Retention(2, 10, 20), NOW)
    assert (found.drains, found.checkpoints) == ((), ())


def test_what_is_too_many_or_too_old_is_surplus() -> None:
    past = [manifest(1), manifest(2), manifest(40)]
    assert surplus(manifest(0), past, Retention(1, 90), NOW).drains == tuple(past[1:])
    assert surplus(manifest(0), past, Retention(9, 30), NOW).drains == tuple(past[2:])


def test_the_newest_checkpoints_stay_and_the_last_drain_s_in_any_case() -> None:
    past = [manifest(1, 10, 50), manifest(2, 10)]
    found = surplus(manifest(0, 80), past, Retention(checkpoint_bytes=100), NOW)
    ((emptied, entries),) = found.checkpoints
    assert emptied is past[0]
    assert [e.size for e in entries] == [50]
    crowded = surplus(manifest(0, 200), past, Retention(checkpoint_bytes=100), NOW)
    assert [(m, len(e)) for m, e in crowded.checkpoints] == [(past[0], 2), (past[1], 1)]


def test_a_drain_is_chosen_by_its_id_or_how_that_begins() -> None:
    ids = ("20260301T000000Z", "20260228T000000Z", "20260228T010000Z")
    assert choose(ids, "202603") == ids[0]
    assert choose(ids, ids[1]) == ids[1]
    for wrong in ("", "2025", "20260228", "\x1b[31m"):
        with pytest.raises(NoManifestError) as refused:
            choose(ids, wrong)
        assert refused.value.message.isprintable()


@pytest.mark.parametrize("route", ROUTES)
def test_a_failed_checkpoint_is_kept_over_the_next_drain(world: World, route: Route) -> None:
    world.routes = (route,)
    world.add("web", "always")
    first = fail_once(world)
    second = restore_once(world)
    assert HistoryFiles(world.file.directory).ids() == (first,)
    assert world.file.read().drain_id == second
    assert world.kept_checkpoints() <= world.engine.debris()
    world.check_debris()
    world.check_promise()


def test_a_drain_that_is_carried_on_keeps_its_checkpoints(world: World) -> None:
    world.add("web", "always")
    first = world.drain().drain_id
    world.add("db")
    second = world.drain().drain_id
    assert HistoryFiles(world.file.directory).ids() == (first,)
    assert second != first
    assert entry_of(world.resume(), "web").state is State.RESTORED
    world.check_debris()


@pytest.mark.parametrize("route", ROUTES)
def test_a_resume_discards_what_is_kept_too_long(drainer: Drainer, etc: Path, route: Route) -> None:
    world = drainer.world
    world.routes = (route,)
    world.add("web", "always")
    first = fail_once(world)
    second = restore_once(world)
    etc.mkdir()
    (etc / "config.yaml").write_text("history:\n  drains: 1\n")
    assert drainer("drain") == drainer("resume") == ExitCode.OK
    assert HistoryFiles(world.file.directory).ids() == (second,)
    assert first not in str(world.engine.debris())
    world.check_debris()


def test_a_resume_discards_checkpoints_beyond_their_room(drainer: Drainer, etc: Path) -> None:
    world = drainer.world
    world.add("web", "always")
    first = fail_once(world)
    etc.mkdir()
    (etc / "config.yaml").write_text("history:\n  checkpoints_mib: 0\n")
    assert drainer("drain") == drainer("resume") == ExitCode.OK
    kept = HistoryFiles(world.file.directory).read(first)
    assert failed_bytes(kept) == 0
    assert world.engine.debris() == set()


def test_what_cannot_be_discarded_stops_nothing(world: World) -> None:
    world.routes = (Route.ENGINE,)
    world.add("web", "always")
    first = fail_once(world)
    world.drain()
    files = HistoryFiles(world.file.directory)
    files.keep(replace(files.read(first), created=""))
    world.engine.script("delete_checkpoint", nth=2, error=EngineError("no"))
    assert not world.resume().pending
    assert files.ids() == (first,)
    world.check_promise()


def test_a_history_that_cannot_be_written_stops_no_drain(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("web", "always")
    restore_once(world)

    def full(_self: HistoryFiles, _manifest: Manifest) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(HistoryFiles, "keep", full)
    restore_once(world)
    world.check_promise()


def test_drains_are_listed_with_what_they_keep(drainer: Drainer) -> None:
    world = drainer.world
    assert drainer("list") == ExitCode.OK
    assert drainer.out == "nothing was drained yet\n"
    world.add("web", "always")
    first = fail_once(world)
    second = restore_once(world)
    third = world.drain().drain_id
    (world.state / HISTORY_NAME / f"{second}.yaml").write_bytes(b"damaged")
    assert drainer("list") == ExitCode.OK
    lines = [line.split() for line in drainer.out.splitlines()]
    assert lines[1][:4] == [third, "manual", "pending", "-"]
    assert lines[2][0] == second
    assert lines[2][-3:] == ["cannot", "be", "read"]
    assert lines[3] == [first, "manual", "finished", "1.0", "MiB", "1", "started-cold"]
    assert drainer("list", "--json") == ExitCode.OK
    assert [(d["drain_id"], d["readable"]) for d in drainer.json["drains"]] == [
        (third, True),
        (second, False),
        (first, True),
    ]


def test_a_past_drain_is_shown_and_reported(drainer: Drainer) -> None:
    world = drainer.world
    world.routes = (Route.RUNTIME,)
    web = world.add("web", "always")
    first = fail_once(world)
    restore_once(world)
    assert drainer("show", first[:13]) == ExitCode.OK
    path = f"{world.state}/checkpoints/drainer-{first}/{web.id}/images"
    assert path in drainer.out
    assert "started-cold" in drainer.out
    assert drainer("show", "--json", first) == ExitCode.OK
    assert [c["path"] for c in drainer.json["checkpoints"]] == [path]
    assert drainer("show") == ExitCode.OK
    assert "restored" in drainer.out
    assert drainer("report", "--drain", first) == ExitCode.OK
    assert "started-cold" in drainer.out
    assert drainer("show", "1999") == ExitCode.NO_MANIFEST


@pytest.mark.parametrize("route", ROUTES)
def test_a_past_drain_is_discarded(drainer: Drainer, route: Route) -> None:
    world = drainer.world
    world.routes = (route,)
    world.add("web", "always")
    first = fail_once(world)
    second = fail_once(world)
    assert drainer("discard", "--checkpoints", first) == ExitCode.OK
    assert drainer.out == f"drain {first}: checkpoints discarded, 1.0 MiB freed\n"
    assert first not in str(world.engine.debris())
    assert HistoryFiles(world.file.directory).ids() == (first,)
    assert drainer("discard", first, second) == ExitCode.OK
    assert world.engine.debris() == set()
    assert HistoryFiles(world.file.directory).ids() == ()
    assert not world.file.exists


def test_the_checkpoints_of_the_last_drain_alone_can_be_discarded(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    first = fail_once(drainer.world)
    assert drainer("discard", "--checkpoints", "--json", first) == ExitCode.OK
    assert drainer.json["freed"] == {first: 1 << 20}
    assert drainer.world.engine.debris() == set()
    assert failed_bytes(drainer.world.file.read()) == 0


def test_what_waits_for_its_resume_is_not_discarded(drainer: Drainer) -> None:
    world = drainer.world
    world.add("web", "always")
    first = restore_once(world)
    last = world.drain().drain_id
    assert drainer("discard", first, last) == ExitCode.CONFIG_INVALID
    assert "waits for its resume" in drainer.err
    assert HistoryFiles(world.file.directory).ids() == (first,)
    assert entry_of(world.resume(), "web").state is State.RESTORED


def test_what_cannot_be_read_can_still_be_discarded(drainer: Drainer) -> None:
    world = drainer.world
    world.add("web", "always")
    first = restore_once(world)
    restore_once(world)
    (world.state / HISTORY_NAME / f"{first}.yaml").write_bytes(b"damaged")
    assert drainer("discard", "--checkpoints", first) == ExitCode.MANIFEST_INVALID
    assert drainer("discard", first) == ExitCode.OK
    assert HistoryFiles(world.file.directory).ids() == ()


def test_only_ids_of_drains_name_files(world: World) -> None:
    files = HistoryFiles(world.file.directory)
    assert files.ids() == ()
    with pytest.raises(DrainerError):
        files.read("../manifest")
    with pytest.raises(DrainerError):
        files.keep(replace(manifest(1), drain_id="../../etc/passwd"))
