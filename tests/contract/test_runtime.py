import pytest

from drainer.errors import EngineError, RuntimeRefusedError
from drainer.model import RestartPolicy
from drainer.runtime.base import Order, Place

from .harness import Harness

pytestmark = pytest.mark.timeout(900)


def place_of(harness: Harness, container: str) -> Place:
    return Place(harness.state / "drainer-contract" / container)


def carry(harness: Harness, container: str) -> tuple[int, str]:
    """Checkpoint and kill a container as a drain does; return its count and its root."""
    root = harness.root(container)
    harness.engine.set_restart_policy(container, RestartPolicy("no"))
    harness.engine.pause(container)
    harness.runtime.checkpoint(container, root, place_of(harness, container), (), harness.patience)
    reached = harness.progress(container)
    harness.engine.kill(container)
    return reached, root


def order(harness: Harness, container: str, root: str) -> Order:
    return Order(container, root, place_of(harness, container), harness.patience)


def test_a_checkpoint_leaves_a_paused_container_paused(harness: Harness) -> None:
    container = harness.create()
    harness.engine.pause(container)
    before = harness.engine.inspect(container)
    root = harness.root(container)
    harness.runtime.checkpoint(container, root, place_of(harness, container), (), harness.patience)
    assert harness.engine.inspect(container) == before
    harness.engine.unpause(container)
    harness.advance(container)


def test_what_is_down_cannot_be_checkpointed(harness: Harness) -> None:
    container = harness.create()
    root = harness.root(container)
    harness.stop(container)
    place = place_of(harness, container)
    with pytest.raises(RuntimeRefusedError):
        harness.runtime.checkpoint(container, root, place, (), harness.patience)


def test_an_ordered_start_carries_on_and_the_next_one_begins_anew(harness: Harness) -> None:
    container = harness.create()
    for _ in range(20):
        harness.advance(container)
    reached, root = carry(harness, container)
    down = harness.engine.inspect(container)
    with harness.runtime.window():
        harness.runtime.lay_out(order(harness, container, root))
        harness.engine.start(container, harness.patience)
        harness.advance(container)
        assert not harness.runtime.withdraw(container, root)
        assert harness.progress(container) > reached
        assert not harness.runtime.is_unused(container, place_of(harness, container))
        up = harness.engine.inspect(container)
        assert (up.running, up.paused) == (True, False)
        assert up.started_at != down.started_at
        assert harness.runtime.take_back(container, root)
        harness.engine.kill(container)
        harness.engine.start(container, harness.patience)
        harness.advance(container)
        assert harness.progress(container) < reached


def test_without_the_stand_in_an_ordered_start_fails_and_starts_nothing(harness: Harness) -> None:
    container = harness.create()
    reached, root = carry(harness, container)
    down = harness.engine.inspect(container)
    with harness.runtime.window():
        harness.lose_stand_in()
        harness.runtime.lay_out(order(harness, container, root))
        with pytest.raises(EngineError, match="already exists"):
            harness.engine.start(container, harness.patience)
    after = harness.engine.inspect(container)
    assert (after.running, after.started_at) == (False, down.started_at)
    assert harness.progress(container) == reached
    assert harness.runtime.is_unused(container, place_of(harness, container))
    assert harness.runtime.withdraw(container, root)
    assert not harness.runtime.withdraw(container, root)
    assert not harness.runtime.take_back(container, root)
    with harness.runtime.window():
        harness.runtime.lay_out(order(harness, container, root))
        harness.engine.start(container, harness.patience)
        harness.advance(container)
    assert harness.progress(container) > reached


def test_an_order_that_is_taken_back_restores_nothing(harness: Harness) -> None:
    container = harness.create()
    for _ in range(20):
        harness.advance(container)
    reached, root = carry(harness, container)
    with harness.runtime.window():
        harness.runtime.lay_out(order(harness, container, root))
        assert not harness.runtime.take_back(container, root)
        harness.engine.start(container, harness.patience)
        harness.advance(container)
    assert harness.progress(container) < reached


def test_other_containers_start_as_ever(harness: Harness) -> None:
    container, other = harness.create(), harness.create()
    harness.engine.kill(other)
    _, root = carry(harness, container)
    with harness.runtime.window():
        harness.runtime.lay_out(order(harness, container, root))
        harness.engine.start(other, harness.patience)
        harness.advance(other)
        assert not harness.runtime.take_back(container, root)


def test_deleting_a_checkpoint_twice_is_no_error(harness: Harness) -> None:
    container = harness.create()
    carry(harness, container)
    harness.runtime.delete(place_of(harness, container))
    harness.runtime.delete(place_of(harness, container))


def test_what_was_left_of_a_window_can_be_swept(harness: Harness) -> None:
    container = harness.create()
    _, root = carry(harness, container)
    with harness.runtime.window():
        harness.runtime.lay_out(order(harness, container, root))
        harness.runtime.sweep()
        harness.runtime.sweep()
        assert not harness.runtime.take_back(container, root)
    harness.engine.start(container, harness.patience)
    harness.advance(container)
