import threading
from dataclasses import replace
from typing import Any

import pytest

from drainer.engine.fake import FACTS, Call, FakeEngine
from drainer.errors import (
    ContainerGoneError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
)
from drainer.model import Container, RestartPolicy
from drainer.networks import Address, Endpoint


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def add(
    engine: FakeEngine,
    name: str = "web",
    policy: str = "always",
    **fields: Any,  # noqa: ANN401 - any field of Container
) -> str:
    container = Container(name * 4, name, restart_policy=RestartPolicy(policy))
    engine.add(replace(container, **fields))
    return container.id


def carry(engine: FakeEngine, name: str = "web") -> None:
    """Take a container down as a drain does."""
    engine.set_restart_policy(name, RestartPolicy("no"))
    engine.pause(name)
    engine.create_checkpoint(name, "one", 1)
    engine.kill_frozen(name)


def test_a_paused_container_that_docker_kills_has_run_on(engine: FakeEngine) -> None:
    add(engine)
    engine.pause("web")
    engine.create_checkpoint("web", "one", 1)
    engine.kill("web")
    engine.start("web", 1, "one")
    assert "has run since it was made" in engine.violations[0]


def test_a_container_that_is_carried_keeps_its_memory(engine: FakeEngine) -> None:
    add(engine)
    engine.tick(7)
    carry(engine)
    engine.reboot()
    assert not engine.inspect("web").running
    engine.start("web", 1, "one")
    assert engine.memory("web") == 7
    assert engine.is_restored("web")
    assert engine.violations == ()


def test_a_cold_start_has_no_memory(engine: FakeEngine) -> None:
    add(engine)
    engine.tick(7)
    engine.reboot()
    assert engine.inspect("web").running
    assert engine.memory("web") == 0
    assert not engine.is_restored("web")


def test_a_paused_container_does_not_work(engine: FakeEngine) -> None:
    add(engine)
    engine.pause("web")
    engine.tick()
    assert engine.memory("web") == 0


def test_what_has_run_since_its_checkpoint_must_not_be_restored(engine: FakeEngine) -> None:
    add(engine)
    carry(engine)
    engine.start("web", 1)
    engine.kill("web")
    engine.start("web", 1, "one")
    assert engine.violations == (
        "web was restored from checkpoint one, but has run since it was made",
    )


def test_a_checkpoint_of_what_ran_on_does_not_fit(engine: FakeEngine) -> None:
    add(engine)
    engine.create_checkpoint("web", "one", 1)
    engine.kill("web")
    engine.start("web", 1, "one")
    assert "has run since" in engine.violations[0]


def test_thawing_spoils_a_checkpoint(engine: FakeEngine) -> None:
    add(engine)
    engine.pause("web")
    engine.create_checkpoint("web", "one", 1)
    engine.unpause("web")
    engine.kill("web")
    engine.start("web", 1, "one")
    assert "has run since" in engine.violations[0]


def test_a_second_restore_is_noted(engine: FakeEngine) -> None:
    add(engine)
    carry(engine)
    engine.start("web", 1, "one")
    engine.kill("web")
    engine.start("web", 1, "one")
    assert engine.violations[0] == "web was restored from checkpoint one a second time"


def test_restoring_what_runs_does_nothing(engine: FakeEngine) -> None:
    add(engine)
    carry(engine)
    engine.start("web", 1)
    engine.start("web", 1, "one")
    assert not engine.is_restored("web")
    assert engine.violations == ()


def test_a_damaged_checkpoint_fails_and_leaves_docker_words(engine: FakeEngine) -> None:
    add(engine)
    carry(engine)
    engine.damage_checkpoint("web", "one")
    assert engine.is_damaged("web", "one")
    with pytest.raises(EngineError, match="criu failed"):
        engine.start("web", 1, "one")
    container = engine.inspect("web")
    assert not container.running
    assert "criu failed" in container.error
    engine.start("web", 1)
    assert engine.inspect("web").error == ""


def test_an_unfinished_checkpoint_is_listed(engine: FakeEngine) -> None:
    add(engine)
    engine.damage_checkpoint("web", "half")
    assert engine.checkpoints("web") == ("half",)
    assert engine.checkpoint_size("web", "half") == 0


@pytest.mark.parametrize(
    ("policy", "exit_code", "starts"),
    [
        ("no", 143, False),
        ("always", 0, True),
        ("unless-stopped", 0, True),
        ("on-failure", 143, True),
        ("on-failure", 0, False),
    ],
)
def test_restart_policies_at_boot(
    engine: FakeEngine, policy: str, exit_code: int, starts: bool
) -> None:
    add(engine, policy=policy)
    engine.reboot(exit_codes={"web": exit_code})
    assert engine.inspect("web").running is starts
    assert engine.boots == 2


@pytest.mark.parametrize(
    ("policy", "starts"), [("no", False), ("always", True), ("unless-stopped", False)]
)
def test_what_was_stopped_by_hand(engine: FakeEngine, policy: str, starts: bool) -> None:
    add(engine, policy=policy)
    engine.stop("web", 0)
    assert not engine.inspect("web").running
    engine.reboot()
    assert engine.inspect("web").running is starts


def test_a_power_cut_leaves_255(engine: FakeEngine) -> None:
    add(engine, policy="no")
    add(engine, "job", policy="on-failure")
    engine.power_cut()
    assert engine.inspect("web").exit_code == 255
    assert engine.inspect("web").finished_at
    assert engine.inspect("job").running


def test_retries_are_limited(engine: FakeEngine) -> None:
    add(engine, restart_policy=RestartPolicy("on-failure", 2))
    engine.exit("web")
    engine.exit("web")
    assert engine.inspect("web").restart_count == 2
    assert engine.inspect("web").running
    engine.exit("web")
    assert not engine.inspect("web").running


def test_a_kill_is_final_until_boot(engine: FakeEngine) -> None:
    add(engine)
    engine.kill("web")
    assert engine.inspect("web").exit_code == 137
    engine.kill("web")
    engine.reboot()
    assert engine.inspect("web").running


def test_a_throw_away_container_takes_its_checkpoints_along(engine: FakeEngine) -> None:
    add(engine, policy="no", auto_remove=True)
    with pytest.raises(EngineError, match="AutoRemove"):
        engine.set_restart_policy("web", RestartPolicy("always"))
    carry(engine)
    with pytest.raises(ContainerGoneError):
        engine.checkpoints("web")


def test_providers_come_first_at_boot(engine: FakeEngine) -> None:
    add(engine, "app", network_mode="container:" + "net" * 4, links=("db",))
    add(engine, "net")
    add(engine, "db")
    engine.reboot()
    assert [container.name for container in engine.running()] == ["net", "db", "app"]


def test_containers_that_need_each_other_do_not_hang_the_boot(engine: FakeEngine) -> None:
    add(engine, "a", links=("b",))
    add(engine, "b", links=("a",))
    engine.reboot()
    assert engine.running() == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network_mode": "container:db"}, "cannot join network of a non running container: db"),
        ({"ipc_mode": "container:db"}, "cannot join IPC of a non running container: db"),
        ({"pid_mode": "container:db"}, "cannot join PID of a non running container: db"),
        ({"links": ("db",)}, "Cannot link to a non running container: /db AS /web/db"),
        ({"network_mode": "container:nobody"}, "No such container: nobody"),
    ],
)
def test_a_provider_that_is_down(engine: FakeEngine, fields: dict[str, Any], message: str) -> None:
    add(engine, "db", policy="no")
    add(engine, **fields)
    engine.reboot()
    assert engine.inspect("web").error == message
    with pytest.raises(EngineError, match=message) as caught:
        engine.start("web", 1)
    assert not isinstance(caught.value, ContainerGoneError)


def test_live_restore(engine: FakeEngine) -> None:
    engine.change_facts(replace(FACTS, live_restore=True))
    add(engine)
    engine.tick(3)
    engine.restart_daemon()
    assert engine.memory("web") == 3
    engine.reboot()
    assert engine.memory("web") == 0


def test_a_daemon_restart_is_no_boot(engine: FakeEngine) -> None:
    add(engine, policy="no")
    engine.down = True
    with pytest.raises(EngineUnavailableError):
        engine.facts()
    engine.restart_daemon()
    assert not engine.inspect("web").running
    assert engine.boots == 1


def test_without_experimental(engine: FakeEngine) -> None:
    engine.change_facts(replace(FACTS, experimental=False))
    add(engine)
    for call in (
        lambda: engine.create_checkpoint("web", "one", 1),
        lambda: engine.checkpoints("web"),
        lambda: engine.delete_checkpoint("web", "one"),
        lambda: engine.start("web", 1, "one"),
    ):
        with pytest.raises(EngineError, match="experimental"):
            call()


def test_a_script_replaces_the_act(engine: FakeEngine) -> None:
    identity = add(engine)
    engine.script("pause", identity, nth=2, error=EngineError("no"))
    engine.pause("web")
    engine.unpause("web")
    with pytest.raises(EngineError, match="no"):
        engine.pause("/web")
    assert not engine.inspect("web").paused
    engine.pause("web")


def test_a_script_strikes_after_the_act(engine: FakeEngine) -> None:
    add(engine)
    add(engine, "db")
    engine.script("create_checkpoint", "web", error=EngineTimeoutError("late"), takes_effect=True)
    engine.create_checkpoint("db", "one", 1)
    with pytest.raises(EngineTimeoutError):
        engine.create_checkpoint("web", "one", 1)
    assert engine.checkpoints("web") == ("one",)


def test_a_script_may_act_itself(engine: FakeEngine) -> None:
    add(engine)
    engine.script("create_checkpoint", run=lambda: engine.stop("web"))
    with pytest.raises(EngineError, match="is not running"):
        engine.create_checkpoint("web", "one", 1)


def test_calls_are_logged_with_their_argument(engine: FakeEngine) -> None:
    add(engine)
    carry(engine)
    engine.kill("web")
    assert engine.calls == [
        Call("set_restart_policy", "web", "no"),
        Call("pause", "web"),
        Call("create_checkpoint", "web", "one"),
        Call("kill", "web"),
    ]


def test_calls_may_overlap() -> None:
    together = threading.Barrier(4, timeout=10)

    def delay(_: Call) -> None:
        together.wait()

    engine = FakeEngine(delay=delay)
    names = [f"c{number}" for number in range(4)]
    for name in names:
        add(engine, name)
    threads = [threading.Thread(target=engine.pause, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(engine.change(name).paused for name in names)


def test_two_engines_do_the_same(engine: FakeEngine) -> None:
    other = FakeEngine()
    for each in (engine, other):
        add(each)
        carry(each)
        each.reboot()
        each.start("web", 1, "one")
    assert engine.running() == other.running()


def test_dynamic_addresses_are_given_back_and_dealt_out_from_the_lowest(
    engine: FakeEngine,
) -> None:
    first = add(engine, "a", addresses=(Address("n", "10.0.0.2", "fd00::2"),))
    second = add(engine, "b", addresses=(Address("n", "10.0.0.5"),))
    engine.kill(first)
    engine.kill(second)
    assert engine.inspect("a").addresses == (Address("n"),)
    assert engine.network("n") == {}
    engine.start("b", 1)
    engine.start("a", 1)
    assert engine.network("n") == {
        second: Endpoint("10.0.0.2", "fd00::2"),
        first: Endpoint("10.0.0.3", "fd00::3"),
    }


def test_a_fixed_address_stays_and_must_be_free(engine: FakeEngine) -> None:
    fixed = Address("n", "10.0.0.2", fixed=True)
    add(engine, "a", addresses=(fixed,))
    add(engine, "b", addresses=(Address("n", "10.0.0.3"),))
    engine.kill("a")
    assert engine.inspect("a").addresses == (fixed,)
    engine.kill("b")
    engine.start("b", 1)
    with pytest.raises(EngineError, match="Address already in use"):
        engine.start("a", 1)


def test_placeholders(engine: FakeEngine) -> None:
    web = add(engine, image="image", addresses=(Address("n", "10.0.0.2"),))
    made = engine.create_placeholder("image", "n", "drainer-placeholder-1")
    with pytest.raises(EngineError, match="No such image: none"):
        engine.create_placeholder("none", "n", "drainer-placeholder-2")
    assert engine.placeholders() == (made,)
    assert not engine.inspect(made).running
    with pytest.raises(EngineError, match="already in use"):
        engine.create_placeholder("image", "n", "drainer-placeholder-1")
    engine.start(made, 1)
    assert engine.network("n") == {web: Endpoint("10.0.0.2"), made: Endpoint("10.0.0.3")}
    engine.remove(made)
    engine.remove(made)
    assert engine.placeholders() == ()
    assert engine.network("n") == {web: Endpoint("10.0.0.2")}
