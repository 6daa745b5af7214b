"""Restores of which nothing has run, and which may be asked for again."""

from contextlib import suppress
from pathlib import Path

import pytest

from drainer.errors import EngineError, EngineTimeoutError, EngineUnavailableError
from drainer.manifest import State
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
