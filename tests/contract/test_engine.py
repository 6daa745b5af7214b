import time
from collections.abc import Callable

import pytest

from drainer.doctor.rootfs import SHELL, archive
from drainer.engine.base import Engine
from drainer.errors import ContainerGoneError, EngineError, EngineTimeoutError
from drainer.model import RestartPolicy

from .harness import Harness

pytestmark = pytest.mark.timeout(900)

NO = RestartPolicy("no")


def carry(harness: Harness, container: str) -> int:
    """Checkpoint and kill a container as a drain does, and return how far it had come."""
    engine = harness.engine
    engine.set_restart_policy(container, NO)
    engine.pause(container)
    engine.create_checkpoint(container, "contract", harness.patience)
    reached = harness.progress(container)
    engine.kill(container)
    return reached


def restore(harness: Harness, container: str) -> None:
    """Restore, with patience for what containerd has not yet forgotten of the checkpoint."""
    for attempts_left in reversed(range(10)):
        try:
            harness.engine.start(container, harness.patience, "contract")
        except EngineError as error:
            if "already exists" not in error.message or not attempts_left:
                raise
            time.sleep(1)
        else:
            return


def test_facts_name_the_daemon(harness: Harness) -> None:
    facts = harness.engine.facts()
    assert facts.version
    assert facts.experimental
    assert facts.default_runtime in facts.runc_runtimes
    assert facts.root_dir.startswith("/")
    assert facts.containerd
    assert facts.runc


def test_running_lists_by_start_and_leaves_out_what_is_down(harness: Harness) -> None:
    first, second, down = harness.create(), harness.create(), harness.create()
    harness.engine.pause(first)
    harness.stop(down)
    ours = [c for c in harness.engine.running() if c.id in {first, second, down}]
    assert [c.id for c in ours] == [first, second]
    assert [c.paused for c in ours] == [True, False]


def test_inspect_by_id_and_name(harness: Harness) -> None:
    container = harness.engine.inspect(harness.create("unless-stopped"))
    assert container.running
    assert container.pid
    assert container.started_at
    assert container.restart_policy == RestartPolicy("unless-stopped")
    assert harness.engine.inspect(container.name) == container


@pytest.mark.parametrize(
    "policy",
    [RestartPolicy("no"), RestartPolicy("unless-stopped"), RestartPolicy("on-failure", 3)],
    ids=lambda policy: str(policy.name),
)
def test_a_restart_policy_is_kept(harness: Harness, policy: RestartPolicy) -> None:
    container = harness.create("always")
    harness.engine.set_restart_policy(container, policy)
    assert harness.engine.inspect(container).restart_policy == policy
    assert harness.engine.inspect(container).running


def test_a_restart_policy_changes_while_paused_and_while_down(harness: Harness) -> None:
    container = harness.create("always")
    harness.engine.pause(container)
    harness.engine.set_restart_policy(container, NO)
    assert harness.engine.inspect(container).paused
    harness.engine.kill(container)
    harness.engine.set_restart_policy(container, RestartPolicy("always"))
    after = harness.engine.inspect(container)
    assert after.restart_policy == RestartPolicy("always")
    assert not after.running


def test_pausing_twice_is_an_error(harness: Harness) -> None:
    container = harness.create()
    harness.engine.pause(container)
    with pytest.raises(EngineError, match="already paused"):
        harness.engine.pause(container)
    assert harness.engine.inspect(container).running


def test_unpausing_what_is_not_paused_is_an_error(harness: Harness) -> None:
    container = harness.create()
    with pytest.raises(EngineError, match="not paused"):
        harness.engine.unpause(container)
    harness.engine.pause(container)
    harness.engine.unpause(container)
    assert not harness.engine.inspect(container).paused
    harness.advance(container)


def test_pausing_what_is_down_is_an_error(harness: Harness) -> None:
    container = harness.create()
    harness.stop(container)
    with pytest.raises(EngineError, match="not running"):
        harness.engine.pause(container)


@pytest.mark.parametrize("paused", [True, False])
def test_kill_ends_a_container_for_good(harness: Harness, paused: bool) -> None:
    container = harness.create("unless-stopped")
    if paused:
        harness.engine.pause(container)
    harness.engine.kill(container)
    after = harness.engine.inspect(container)
    assert not after.running
    assert not after.paused
    assert (after.pid, after.exit_code) == (0, 137)
    assert after.restart_policy == RestartPolicy("unless-stopped")


def test_a_killed_paused_container_did_not_work_on(harness: Harness) -> None:
    container = harness.create()
    harness.engine.pause(container)
    reached = harness.progress(container)
    harness.engine.kill(container)
    assert harness.progress(container) == reached


def test_killing_what_is_down_is_no_error(harness: Harness) -> None:
    container = harness.create()
    harness.engine.kill(container)
    finished = harness.engine.inspect(container).finished_at
    harness.engine.kill(container)
    assert harness.engine.inspect(container).finished_at == finished


def test_a_checkpoint_leaves_a_paused_container_paused(harness: Harness) -> None:
    container = harness.create()
    harness.engine.pause(container)
    before = harness.engine.inspect(container)
    harness.engine.create_checkpoint(container, "contract", harness.patience)
    assert harness.engine.inspect(container) == before


def test_a_checkpoint_leaves_a_running_container_running(harness: Harness) -> None:
    container = harness.create()
    before = harness.engine.inspect(container)
    harness.engine.create_checkpoint(container, "contract", harness.patience)
    after = harness.engine.inspect(container)
    assert (after.running, after.paused) == (True, False)
    assert (after.pid, after.started_at) == (before.pid, before.started_at)
    harness.advance(container)


def test_checkpoints_are_listed_and_deleted(harness: Harness) -> None:
    container = harness.create()
    assert harness.engine.checkpoints(container) == ()
    harness.engine.create_checkpoint(container, "contract", harness.patience)
    assert harness.engine.checkpoints(container) == ("contract",)
    harness.engine.delete_checkpoint(container, "contract")
    assert harness.engine.checkpoints(container) == ()
    harness.engine.delete_checkpoint(container, "contract")


def test_a_name_is_taken_once(harness: Harness) -> None:
    container = harness.create()
    harness.engine.create_checkpoint(container, "contract", harness.patience)
    with pytest.raises(EngineError, match="already exists"):
        harness.engine.create_checkpoint(container, "contract", harness.patience)
    assert harness.engine.checkpoints(container) == ("contract",)


@pytest.mark.parametrize("name", ["x", "../up", "-x", "a b"])
def test_bad_names_are_refused(harness: Harness, name: str) -> None:
    container = harness.create()
    with pytest.raises(EngineError, match="checkpoint ID"):
        harness.engine.create_checkpoint(container, name, harness.patience)
    assert harness.engine.checkpoints(container) == ()


def test_what_is_down_cannot_be_checkpointed(harness: Harness) -> None:
    container = harness.create()
    harness.stop(container)
    with pytest.raises(EngineError, match="not running"):
        harness.engine.create_checkpoint(container, "contract", harness.patience)


def test_a_restore_carries_on(harness: Harness) -> None:
    container = harness.create()
    for _ in range(5):
        harness.advance(container)
    reached = carry(harness, container)
    down = harness.engine.inspect(container)
    assert not down.running
    restore(harness, container)
    harness.advance(container)
    assert harness.progress(container) > reached
    up = harness.engine.inspect(container)
    assert (up.running, up.paused) == (True, False)
    assert up.started_at != down.started_at
    assert harness.engine.checkpoints(container) == ("contract",)


def test_a_cold_start_begins_anew(harness: Harness) -> None:
    container = harness.create()
    for _ in range(20):
        harness.advance(container)
    reached = carry(harness, container)
    before = harness.engine.inspect(container).started_at
    harness.engine.start(container, harness.patience)
    harness.advance(container)
    assert harness.progress(container) < reached
    assert harness.engine.inspect(container).started_at != before


def test_starting_what_runs_does_nothing(harness: Harness) -> None:
    container = harness.create()
    before = harness.engine.inspect(container)
    harness.engine.start(container, harness.patience)
    harness.engine.start(container, harness.patience, "nothing-of-that-name")
    assert harness.engine.inspect(container) == before


def test_starting_what_is_paused_is_an_error(harness: Harness) -> None:
    container = harness.create()
    harness.engine.pause(container)
    with pytest.raises(EngineError, match="paused"):
        harness.engine.start(container, harness.patience)
    assert harness.engine.inspect(container).paused


def test_restoring_from_nothing_is_an_error(harness: Harness) -> None:
    container = harness.create()
    harness.engine.kill(container)
    with pytest.raises(EngineError, match="nothing-of-that-name"):
        harness.engine.start(container, harness.patience, "nothing-of-that-name")
    assert not harness.engine.inspect(container).running


def test_a_user_does_not_start_before_its_provider(harness: Harness) -> None:
    provider = harness.create()
    user = harness.create(join=provider)
    assert harness.engine.inspect(user).network_mode == f"container:{provider}"
    harness.engine.kill(user)
    harness.engine.kill(provider)
    with pytest.raises(EngineError, match="non running container"):
        harness.engine.start(user, harness.patience)
    after = harness.engine.inspect(user)
    assert not after.running
    assert "non running container" in after.error
    harness.engine.start(provider, harness.patience)
    harness.engine.start(user, harness.patience)
    assert harness.engine.inspect(user).running


CALLS: dict[str, Callable[[Engine, str], object]] = {
    "inspect": lambda engine, name: engine.inspect(name),
    "set_restart_policy": lambda engine, name: engine.set_restart_policy(name, NO),
    "pause": lambda engine, name: engine.pause(name),
    "unpause": lambda engine, name: engine.unpause(name),
    "kill": lambda engine, name: engine.kill(name),
    "create_checkpoint": lambda engine, name: engine.create_checkpoint(name, "contract", 60),
    "checkpoints": lambda engine, name: engine.checkpoints(name),
    "delete_checkpoint": lambda engine, name: engine.delete_checkpoint(name, "contract"),
    "start": lambda engine, name: engine.start(name, 60),
    "restore": lambda engine, name: engine.start(name, 60, "contract"),
}


def test_a_container_that_is_gone_has_its_own_error(harness: Harness) -> None:
    container = harness.create()
    harness.remove(container)
    for call in CALLS.values():
        with pytest.raises(ContainerGoneError):
            call(harness.engine, container)


def test_a_checkpoint_goes_on_after_a_timeout(harness: Harness) -> None:
    container = harness.create()
    limit = harness.hurry("create_checkpoint", container)
    with pytest.raises(EngineTimeoutError):
        harness.engine.create_checkpoint(container, "contract", limit)
    deadline = time.monotonic() + harness.patience
    while harness.engine.checkpoints(container) != ("contract",):
        assert time.monotonic() < deadline, "Docker gave up"
        time.sleep(0.1)


def test_a_trial_needs_no_registry_and_leaves_nothing(harness: Harness) -> None:
    engine = harness.engine
    image = engine.import_image(archive())
    assert image in engine.trial_images()
    container = engine.create_trial(
        image, "drainer-doctor-contract", "none", (SHELL, "-c", "echo it runs 1; sleep 100")
    )
    try:
        assert container in engine.trials()
        assert not engine.inspect(container).running
        engine.start(container, harness.patience)
        deadline = time.monotonic() + harness.patience
        while not engine.logs(container).endswith(" 1\n"):
            assert time.monotonic() < deadline, "it prints nothing"
            time.sleep(0.1)
        with pytest.raises(EngineError):
            engine.remove_image(image)
    finally:
        for _ in range(2):
            engine.remove(container)
    engine.remove_image(image)
    engine.remove_image(image)
    assert container not in engine.trials()
    assert image not in engine.trial_images()


def test_a_stop_in_order_lasts_until_the_next_start_of_docker(harness: Harness) -> None:
    container = harness.create()
    harness.engine.set_restart_policy(container, RestartPolicy("always"))
    harness.engine.stop_in_order(container, harness.patience)
    assert not harness.engine.inspect(container).running
    harness.engine.stop_in_order(container, harness.patience)
    harness.engine.start(container, harness.patience)
    assert harness.engine.inspect(container).running
