"""What becomes of a failed dump and of a failed restore is the operator's choice."""

import pytest

from drainer.drain import outcome_counts
from drainer.errors import EngineError, EngineTimeoutError, EngineUnavailableError
from drainer.manifest import CheckpointState, State
from tests.unit.world import World, entry_of


@pytest.mark.parametrize("policy", ["no", "always", "unless-stopped"])
def test_what_cannot_be_checkpointed_may_be_stopped_in_order(world: World, policy: str) -> None:
    web = world.add("web", policy)
    world.stop_failed = True
    world.engine.script("create_checkpoint", error=EngineError("criu failed"))
    drained = world.drain()
    assert outcome_counts(drained) == (1, 0)
    assert [c.method for c in world.engine.calls].count("stop_in_order") == 1
    assert (world.now("web").running, world.now("web").exit_code) == (False, 143)
    assert not any(world.engine.checkpoints(web.id))
    world.reboot()
    (entry,) = world.resume().entries
    assert (entry.state, entry.detail) == (State.STARTED_COLD, "criu failed")
    world.check_promise()


def test_one_that_does_not_stop_is_given_back_by_the_resume(world: World) -> None:
    world.add("web", "always")
    world.stop_failed = True
    world.engine.script("create_checkpoint", error=EngineError("criu failed"))
    world.engine.script("stop_in_order", error=EngineTimeoutError("no answer"))
    (entry,) = world.drain().entries
    assert entry.detail == "criu failed; and it was not seen to stop: no answer"
    started = world.now("web").started_at
    (entry,) = world.resume().entries
    assert entry.state is State.LEFT
    assert world.now("web").started_at == started
    world.check_promise()


def test_what_was_not_even_paused_is_not_stopped(world: World) -> None:
    world.add("web", "always")
    world.stop_failed = True
    world.engine.script("set_restart_policy", error=EngineError("no"))
    (entry,) = world.drain().entries
    assert entry.state is State.LEFT
    assert world.now("web").running


def test_one_that_was_restarted_after_the_plan_is_not_stopped(world: World) -> None:
    web = world.add("web", "no")
    world.stop_failed = True

    def restart() -> None:
        world.engine.exit(web.id)
        world.engine.start(web.id, 1.0)

    world.engine.script("inspect", run=restart)
    (entry,) = world.drain().entries
    assert entry.state is State.LEFT
    assert world.now("web").running


def test_what_cannot_be_restored_may_be_left_down(world: World) -> None:
    web = world.add("web", "always")
    world.leave_failed = True
    world.drain()
    world.engine.damage_checkpoint(web.id, entry_of(world.file.read(), "web").checkpoint)
    entry = entry_of(world.resume(), "web")
    assert (entry.state, entry.checkpoint_state) == (State.LEFT, CheckpointState.UNUSABLE)
    assert entry.detail.endswith("left down, as was asked for")
    assert not world.now("web").running
    assert world.now("web").restart_policy.name == "always"


def test_what_never_had_a_checkpoint_is_started_all_the_same(world: World) -> None:
    world.add("web", "always")
    world.leave_failed = world.stop_failed = True
    world.engine.script("create_checkpoint", error=EngineError("criu failed"))
    world.drain()
    assert entry_of(world.resume(), "web").state is State.STARTED_COLD
    world.check_promise()


def test_what_is_left_down_is_not_started_after_what_it_uses(world: World) -> None:
    net = world.add("net", "always")
    app = world.add("app", "always", network_mode=f"container:{net.id}")
    other = world.add("other", "always")
    world.leave_failed = True
    world.drain()
    world.engine.damage_checkpoint(app.id, entry_of(world.file.read(), "app").checkpoint)
    # Another pass, for another's sake.
    world.engine.script("inspect", other.id, error=EngineUnavailableError("away"))
    world.resume()
    assert not world.now("app").running
