from dataclasses import replace

import pytest

from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container, RestartPolicy
from drainer.recover import Step, next_step, waiting_users

THEN = "2026-01-01T00:00:00Z"
LATER = "2026-01-02T00:00:00Z"


def entry(state: State, **changes: object) -> Entry:
    base = Entry("a" * 64, "web", "img", state, RestartPolicy("always"), started_at=THEN)
    return replace(base, **changes)  # type: ignore[arg-type]  # any field may be given


def container(*, running: bool, started_at: str = THEN) -> Container:
    return Container("a" * 64, "web", running=running, started_at=started_at)


DOWN = container(running=False)
UP = container(running=True)
DOWN_AGAIN = container(running=False, started_at=LATER)
UP_AGAIN = container(running=True, started_at=LATER)


@pytest.mark.parametrize(
    ("state", "now", "step"),
    [
        (State.PLANNED, UP, Step.RELEASE),
        (State.PLANNED, DOWN, Step.RELEASE),
        (State.HELD, UP, Step.RELEASE),
        (State.HELD, DOWN, Step.RELEASE),
        (State.DUMPING, UP, Step.RELEASE),
        (State.DUMPING, DOWN, Step.RELEASE),
        (State.DUMPED, UP, Step.RELEASE),
        (State.DUMPED, DOWN, Step.START_COLD),
        (State.DUMPED, DOWN_AGAIN, Step.RELEASE),
        (State.STOPPED, DOWN, Step.RESTORE),
        (State.STOPPED, UP_AGAIN, Step.RELEASE),
        (State.STOPPED, DOWN_AGAIN, Step.RELEASE),
        (State.RESTORING, UP_AGAIN, Step.CONFIRM),
        (State.RESTORING, DOWN, Step.START_COLD),
        (State.RESTORING, DOWN_AGAIN, Step.START_COLD),
        (State.RESTORED, UP_AGAIN, Step.CLEAN),
        (State.RESTORED, DOWN_AGAIN, Step.CLEAN),
        (State.STARTED_COLD, UP_AGAIN, Step.NOTHING),
        (State.STARTED_COLD, DOWN_AGAIN, Step.NOTHING),
        (State.LEFT, UP, Step.NOTHING),
        (State.LEFT, DOWN, Step.NOTHING),
        (State.GONE, UP, Step.NOTHING),
    ],
)
def test_what_each_state_needs(state: State, now: Container, step: Step) -> None:
    assert next_step(entry(state, checkpoint_state=CheckpointState.COMPLETE), now) is step


@pytest.mark.parametrize("state", list(State))
def test_a_removed_container_is_forgotten_or_was_ended_before(state: State) -> None:
    expected = Step.NOTHING if state.ended else Step.FORGET
    assert next_step(entry(state), None) is expected


def test_a_checkpoint_is_restored_from_only_while_the_container_has_not_run_again() -> None:
    for state in State:
        for now in (UP, UP_AGAIN, DOWN_AGAIN):
            assert next_step(entry(state), now) is not Step.RESTORE


def test_a_checkpoint_marked_unusable_is_never_restored() -> None:
    for state in (State.DUMPED, State.STOPPED):
        unusable = entry(state, checkpoint_state=CheckpointState.UNUSABLE)
        assert next_step(unusable, DOWN) is Step.START_COLD


def test_a_used_checkpoint_needs_no_second_cleaning() -> None:
    used = entry(State.RESTORED, checkpoint_state=CheckpointState.USED)
    assert next_step(used, UP_AGAIN) is Step.NOTHING


def test_a_skipped_user_of_a_carried_provider_is_started_when_it_is_down() -> None:
    assert next_step(entry(State.LEFT), DOWN, waited=True) is Step.START_LIKE_DOCKER
    assert next_step(entry(State.LEFT), UP, waited=True) is Step.NOTHING


def test_waiting_users_are_found_through_other_skipped_containers() -> None:
    net = replace(entry(State.STOPPED), id="1" * 64, checkpoint="c1")
    user = replace(entry(State.LEFT), id="2" * 64, needs=("1" * 64,))
    user_of_user = replace(entry(State.LEFT), id="3" * 64, needs=("2" * 64,))
    stranger = replace(entry(State.LEFT), id="4" * 64)
    failed = replace(entry(State.LEFT), id="5" * 64, checkpoint="c1")
    user_of_failed = replace(entry(State.LEFT), id="6" * 64, needs=("5" * 64,))
    everything = (net, user, user_of_user, stranger, failed, user_of_failed)
    assert waiting_users(everything) == {"2" * 64, "3" * 64, "6" * 64}
