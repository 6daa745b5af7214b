"""Containers that Docker takes for running and whose processes are gone."""

import threading
from dataclasses import replace

import pytest

from drainer.deadline import Deadline
from drainer.drain import settle
from drainer.engine.fake import FakeEngine
from drainer.errors import EngineUnavailableError
from drainer.ghost import look
from drainer.host.fake import FakeHost
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container, RestartPolicy
from drainer.store.manifest_file import Record
from tests.unit.world import World

ENTRY = Entry("a" * 64, "web", "image", State.STOPPED, RestartPolicy("always"))


@pytest.fixture
def engine() -> FakeEngine:
    made = FakeEngine()
    made.add(Container(id=ENTRY.id, name="web", running=True, paused=True))
    return made


@pytest.fixture
def host(engine: FakeEngine) -> FakeHost:
    return FakeHost(engine)


def make_ghost(engine: FakeEngine) -> None:
    engine.deaf = True
    engine.kill_frozen(ENTRY.id)
    engine.deaf = False


def kills(engine: FakeEngine) -> int:
    return sum(call.method == "kill" for call in engine.calls)


def test_one_that_lives_is_left_alone(engine: FakeEngine, host: FakeHost) -> None:
    assert look(engine, host, ENTRY).paused
    assert kills(engine) == 0


def test_a_ghost_is_laid(engine: FakeEngine, host: FakeHost) -> None:
    make_ghost(engine)
    assert not look(engine, host, ENTRY).running
    assert kills(engine) == 1


def test_that_of_an_entry_that_has_ended_is_its_owners(engine: FakeEngine, host: FakeHost) -> None:
    make_ghost(engine)
    assert look(engine, host, replace(ENTRY, state=State.LEFT)).running
    assert kills(engine) == 0


def test_what_docker_learns_by_itself_is_not_killed(engine: FakeEngine, host: FakeHost) -> None:
    make_ghost(engine)
    engine.script("inspect", nth=2, run=lambda: engine.exit(ENTRY.id, 137))
    assert not look(engine, host, ENTRY).running
    assert kills(engine) == 0


def test_what_was_started_meanwhile_is_not_killed(engine: FakeEngine, host: FakeHost) -> None:
    make_ghost(engine)

    def restart() -> None:
        engine.exit(ENTRY.id, 137)
        engine.start(ENTRY.id, 1.0)

    engine.script("inspect", nth=2, run=restart)
    assert look(engine, host, ENTRY).running
    assert kills(engine) == 0


def test_a_restarting_one_has_no_process(engine: FakeEngine, host: FakeHost) -> None:
    make_ghost(engine)
    engine.change(ENTRY.id, restarting=True)
    assert look(engine, host, ENTRY).running
    assert kills(engine) == 0


def test_a_docker_that_does_not_answer_is_not_waited_for(
    engine: FakeEngine, host: FakeHost
) -> None:
    make_ghost(engine)
    engine.script("kill", error=EngineUnavailableError("away"))
    with pytest.raises(EngineUnavailableError):
        look(engine, host, ENTRY)


def test_what_was_not_touched_yet_is_its_owners(engine: FakeEngine, host: FakeHost) -> None:
    make_ghost(engine)
    assert look(engine, host, replace(ENTRY, state=State.PLANNED)).running
    assert kills(engine) == 0


@pytest.mark.parametrize(
    ("state", "kept", "down"),
    [
        (State.STOPPED, CheckpointState.COMPLETE, True),
        (State.STOPPED, CheckpointState.NONE, False),
        (State.DUMPED, CheckpointState.COMPLETE, False),
    ],
)
def test_what_was_killed_while_frozen_is_killed_for_docker_too(
    engine: FakeEngine, host: FakeHost, *, state: State, kept: CheckpointState, down: bool
) -> None:
    started = engine.inspect(ENTRY.id).started_at
    entry = replace(ENTRY, state=state, checkpoint_state=kept, started_at=started)
    assert look(engine, host, entry).running is not down
    other = replace(entry, started_at="another")
    assert look(engine, host, other).running is not down
    assert kills(engine) == down


def test_those_of_one_drain_are_waited_for_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        world.add(f"web{number}", "always")
        world.engine.script("kill", nth=number + 1, error=EngineUnavailableError("no containerd"))
    world.engine.deaf = True
    world.drain()
    world.engine.deaf = False
    together = threading.Barrier(8, timeout=20)
    monkeypatch.setattr("drainer.ghost.time.sleep", lambda _seconds: together.wait())
    carriers = world.carriers(world.engine.facts(), Deadline(None))
    kept = settle(world.engine, world.host, Record(world.file, world.file.read()), carriers)
    assert [e.state for e in kept] == [State.STOPPED] * 8
    assert not any(world.now(f"web{number}").running for number in range(8))
