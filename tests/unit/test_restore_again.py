"""Restores of which nothing has run, and which may be asked for again."""

from contextlib import suppress
from pathlib import Path

import pytest

from drainer.errors import EngineError, EngineTimeoutError, EngineUnavailableError
from drainer.manifest import CheckpointState, State
from drainer.model import Route
from tests.unit.world import Killed, World, entry_of


@pytest.fixture
def by_runtime(tmp_path: Path) -> World:
    world = World(tmp_path / "state", routes=(Route.RUNTIME,))
    world.add("web", "always")
    world.drain()
    world.reboot()
    return world


def die_with_an_order_out(world: World) -> None:
    """Let a resume end when a restore was ordered, and Docker has not heard of it yet."""

    def die() -> None:
        world.dead = world.engine.down = True

    world.engine.script("start", run=die, error=EngineError("never read"))
    with suppress(Killed):
        world.resume()


def test_a_restore_that_containerd_s_end_prevented_is_asked_for_again(by_runtime: World) -> None:
    away = EngineUnavailableError("Unavailable: error reading from server: EOF")
    by_runtime.engine.script("start", error=away)
    manifest = by_runtime.resume()
    assert entry_of(manifest, "web").state is State.RESTORED
    assert by_runtime.engine.memory("web") == 100
    by_runtime.check_promise()


def test_one_that_was_ordered_and_never_begun_is_restored_by_the_next_resume(
    by_runtime: World,
) -> None:
    die_with_an_order_out(by_runtime)
    assert entry_of(by_runtime.file.read(), "web").state is State.RESTORING
    by_runtime.live_again()
    by_runtime.engine.down = False
    assert entry_of(by_runtime.resume(), "web").state is State.RESTORED
    assert by_runtime.engine.memory("web") == 100
    by_runtime.check_promise()


def test_a_power_cut_before_anything_ran_costs_no_memory(by_runtime: World) -> None:
    die_with_an_order_out(by_runtime)
    by_runtime.live_again()
    by_runtime.power_cut()
    assert entry_of(by_runtime.resume(), "web").state is State.RESTORED
    assert by_runtime.engine.memory("web") == 100
    by_runtime.check_promise()


@pytest.mark.parametrize(("failures", "state"), [(2, State.RESTORED), (3, State.STARTED_COLD)])
def test_a_restore_that_fails_before_anything_ran_is_asked_for_again(
    by_runtime: World, failures: int, state: State
) -> None:
    for nth in range(1, failures + 1):
        by_runtime.engine.script("start", nth=nth, error=EngineError("no such cgroup"))
    stopped = entry_of(by_runtime.file.read(), "web").times[State.STOPPED]
    manifest = by_runtime.resume()
    assert entry_of(manifest, "web").state is state
    # It went down at the drain, whatever came later.
    assert entry_of(manifest, "web").times[State.STOPPED] == stopped
    assert len(by_runtime.runtime.orders) == 3
    by_runtime.check_promise()


def test_one_that_never_ends_is_started_cold_and_not_asked_for_again(by_runtime: World) -> None:
    by_runtime.engine.script("start", error=EngineTimeoutError("not within its time"))
    assert entry_of(by_runtime.resume(), "web").state is State.STARTED_COLD
    assert len(by_runtime.runtime.orders) == 1
    by_runtime.check_promise()


def test_over_all_resumes_a_restore_is_asked_for_three_times_at_most(by_runtime: World) -> None:
    for _ in range(4):
        die_with_an_order_out(by_runtime)
        by_runtime.live_again()
        by_runtime.power_cut()
        by_runtime.engine.forget_scripts()
    assert entry_of(by_runtime.resume(), "web").state is State.STARTED_COLD
    assert len(by_runtime.runtime.orders) == 3
    by_runtime.check_promise()


def test_a_restore_that_fails_after_it_was_let_go_is_not_asked_for_again(
    by_runtime: World,
) -> None:
    web = entry_of(by_runtime.file.read(), "web")
    by_runtime.engine.damage_checkpoint(web.id, web.checkpoint)
    by_runtime.host.verify_checkpoint = lambda directory: web.size  # type: ignore[method-assign]  # noqa: ARG005 - the protocol's name
    assert entry_of(by_runtime.resume(), "web").state is State.STARTED_COLD
    assert len(by_runtime.runtime.orders) == 1
    by_runtime.check_promise()


def refuse_starts(world: World, times: int) -> None:
    for nth in range(1, times + 1):
        world.engine.script("start", nth=nth, error=EngineError("failed to mount local volume"))


def test_what_docker_starts_in_no_way_keeps_its_memory_until_it_can(by_runtime: World) -> None:
    refuse_starts(by_runtime, 5)
    manifest = by_runtime.resume()
    web = entry_of(manifest, "web")
    assert manifest.pending
    assert (web.state, web.checkpoint_state) == (State.STOPPED, CheckpointState.COMPLETE)
    assert web.detail.count("failed to mount local volume") == 2
    # Also after more restores than are asked for in one resume.
    refuse_starts(by_runtime, 5)
    assert entry_of(by_runtime.resume(), "web").state is State.STOPPED
    by_runtime.power_cut()
    assert entry_of(by_runtime.resume(), "web").state is State.RESTORED
    assert by_runtime.engine.memory("web") == 100
    by_runtime.check_promise()
    by_runtime.check_debris()


def test_its_files_are_compared_again_before_it_is_restored(by_runtime: World) -> None:
    refuse_starts(by_runtime, 5)
    assert entry_of(by_runtime.resume(), "web").files_checked == ""


@pytest.mark.parametrize(
    "refusal",
    ["cannot link to c1: No such container: c1", "Cannot link to a non running container: /c1"],
)
def test_what_uses_one_that_nothing_brings_back_is_not_waited_for(
    by_runtime: World, refusal: str
) -> None:
    for nth in range(1, 6):
        error = EngineError(refusal)
        by_runtime.engine.script("start", nth=nth, error=error)
    manifest = by_runtime.resume()
    assert manifest.finished
    assert entry_of(manifest, "web").state is State.LEFT


def test_without_time_for_a_restore_it_keeps_its_memory_too(by_runtime: World) -> None:
    by_runtime.budget = 0
    refuse_starts(by_runtime, 6)
    assert entry_of(by_runtime.resume(), "web").state is State.STOPPED
    by_runtime.budget = None
    assert entry_of(by_runtime.resume(), "web").state is State.RESTORED
    by_runtime.check_promise()


def test_what_docker_starts_in_no_way_can_be_given_up(by_runtime: World) -> None:
    by_runtime.give_up = True
    refuse_starts(by_runtime, 5)
    manifest = by_runtime.resume()
    assert manifest.finished
    assert entry_of(manifest, "web").state is State.LEFT
    assert by_runtime.now("web").restart_policy.name == "always"


def test_a_checkpoint_that_was_begun_is_not_kept_for_what_cannot_be_started(
    by_runtime: World,
) -> None:
    web = entry_of(by_runtime.file.read(), "web")
    by_runtime.engine.damage_checkpoint(web.id, web.checkpoint)
    by_runtime.host.verify_checkpoint = lambda directory: web.size  # type: ignore[method-assign]  # noqa: ARG005 - the protocol's name
    for nth in (2, 3):
        by_runtime.engine.script("start", nth=nth, error=EngineError("no such device"))
    manifest = by_runtime.resume()
    assert manifest.finished
    assert entry_of(manifest, "web").state is State.LEFT


def test_after_refusals_a_restore_has_all_its_tries_again(by_runtime: World) -> None:
    refuse_starts(by_runtime, 5)
    by_runtime.resume()
    away = EngineUnavailableError("Unavailable: error reading from server: EOF")
    by_runtime.engine.script("start", error=away)
    assert entry_of(by_runtime.resume(), "web").state is State.RESTORED
    by_runtime.check_promise()


def test_after_a_cold_start_that_was_cut_off_its_memory_may_still_come_back(
    by_runtime: World,
) -> None:
    refuse_starts(by_runtime, 3)
    by_runtime.engine.script("start", nth=4, error=EngineTimeoutError("a mount hangs"))
    assert by_runtime.resume().pending
    refuse_starts(by_runtime, 9)
    assert entry_of(by_runtime.resume(), "web").state is State.STOPPED
    by_runtime.engine.forget_scripts()
    assert entry_of(by_runtime.resume(), "web").state is State.RESTORED
    by_runtime.check_promise()


def test_a_look_that_fails_before_the_restore_costs_no_memory(by_runtime: World) -> None:
    for nth in range(1, 12):
        by_runtime.engine.forget_scripts()
        by_runtime.engine.script("inspect", nth=nth, error=EngineTimeoutError("slow"))
        if by_runtime.resume().finished:
            break
    by_runtime.engine.forget_scripts()
    assert entry_of(by_runtime.resume(), "web").state is State.RESTORED
    by_runtime.check_promise()
