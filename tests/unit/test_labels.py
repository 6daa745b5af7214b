"""What the labels of a container say, and what becomes of it then."""

from dataclasses import replace

import pytest

from drainer.config.choices import DumpFallback, RestoreFallback, Tcp
from drainer.criu_options import criu_options
from drainer.errors import EngineError
from drainer.labels import GROUP_WORDS, LABEL_GROUP, mistakes, wish
from drainer.manifest import State
from drainer.model import Container, Route, Wish
from tests.unit.command import Drainer
from tests.unit.rules.cases import Given, on
from tests.unit.world import World, entry_of


def test_without_labels_it_is_as_configured() -> None:
    configured = Wish(priority=4, tcp=Tcp.SKIP, timeout=9)
    assert wish({}, configured) == configured
    assert wish({"drainer.enable": "false", "other": "1"}, configured) == configured


def test_labels_come_before_what_is_configured() -> None:
    labels = {
        "drainer.priority": "-5",
        "drainer.tcp": "close",
        "drainer.timeout": " 60 ",
        "drainer.on-dump-failure": "stop",
        "drainer.on-restore-failure": "leave",
    }
    assert wish(labels, Wish(priority=4, tcp=Tcp.SKIP, timeout=9)) == Wish(
        priority=-5,
        tcp=Tcp.CLOSE,
        timeout=60,
        on_dump_failure=DumpFallback.STOP,
        on_restore_failure=RestoreFallback.LEAVE,
    )
    assert mistakes(labels) == ()


@pytest.mark.parametrize("value", ["", "0", "86401", "1.5", "-1", "٣", "9" * 5000, "1e3"])
def test_a_wrong_value_does_not_count(value: str) -> None:
    labels = {"drainer.timeout": value, "drainer.priority": value or "x"}
    assert wish(labels, Wish(timeout=9)).timeout == 9
    assert mistakes({"drainer.timeout": value}) == ("drainer.timeout may be 1 to 86400 (seconds)",)


def test_connections_are_not_closed_on_a_doubtful_word() -> None:
    assert wish({"drainer.tcp": "hold"}, Wish()).tcp is Tcp.SKIP


def test_an_unknown_label_is_named_with_what_may_be_meant() -> None:
    labels = {"drainer.prio": "1", "drainer.\x1b[2J": "", "drainer.placeholder": "", "a": "b"}
    assert mistakes(labels) == (
        "drainer.\x1b[2J is not known",
        "drainer.prio is not known, drainer.priority is",
    )


def test_a_plan_shows_labels_that_do_not_count(drainer: Drainer) -> None:
    drainer.world.add("web", labels={"drainer.\x1b[2J": "1"})
    assert drainer("plan") == 0
    assert r"label_ignored (drainer.\x1b[2J is not known)" in drainer.out


def connect(world: World, container: Container) -> None:
    facts = replace(world.host.processes(container), tcp_established=2)
    world.host.process_facts[container.id] = facts


def test_connections_are_closed_on_the_runtime_route(world: World) -> None:
    web = world.add("web", "always")
    connect(world, web)
    (planned,) = world.plan().entries
    assert (planned.route, planned.criu_options) == (
        Route.RUNTIME,
        ("skip-in-flight", "tcp-close", "network-lock-skip", "ghost-limit 1024M"),
    )
    assert [note.id for note in planned.notes] == ["tcp_connections"]
    world.drain()
    world.reboot()
    assert entry_of(world.resume(), "web").state is State.RESTORED
    assert world.runtime.orders[0].flags == planned.criu_options


def test_who_would_lose_them_can_be_skipped(world: World) -> None:
    web = world.add("web", labels={"drainer.tcp": "skip"})
    connect(world, web)
    (planned,) = world.plan().entries
    assert [reason.id for reason in planned.reasons] == ["tcp_not_wanted"]


def test_each_container_has_its_own_time(world: World) -> None:
    world.routes = (Route.RUNTIME,)
    world.add("web", labels={"drainer.timeout": "7"})
    world.add("db")
    drained = world.drain()
    assert {e.name: e.timeout for e in drained.entries} == {"web": 7, "db": 0}
    world.reboot()
    world.resume()
    assert [order.seconds for order in world.runtime.orders if order.seconds] == [7]


def test_what_becomes_of_a_failed_dump_is_each_owner_s_choice(world: World) -> None:
    world.add("web", "always", labels={"drainer.on-dump-failure": "stop"})
    world.add("db", "always", labels={"drainer.on-dump-failure": "leave"})
    for _ in range(2):
        world.engine.script("create_checkpoint", error=EngineError("no"))
    world.stop_failed = False
    drained = world.drain()
    assert entry_of(drained, "web").state is State.STOPPED
    assert entry_of(drained, "db").state is State.LEFT


def test_what_becomes_of_a_failed_restore_is_each_owner_s_choice(world: World) -> None:
    web = world.add("web", "always", labels={"drainer.on-restore-failure": "leave"})
    database = world.add("db", "always", labels={"drainer.on-restore-failure": "cold"})
    drained = world.drain()
    for container in (web, database):
        world.engine.damage_checkpoint(container.id, entry_of(drained, "web").checkpoint)
    world.leave_failed = True
    resumed = world.resume()
    assert entry_of(resumed, "web").state is State.LEFT
    assert entry_of(resumed, "db").state is State.STARTED_COLD


@pytest.mark.parametrize(
    ("runc", "option"),
    [
        ("1.1.5+ds1", "skip-in-flight"),
        ("1.2.9", "skip-in-flight"),
        ("1.3.0", "tcp-skip-in-flight"),
        ("1.3.6+ds1", "tcp-skip-in-flight"),
        ("", "skip-in-flight"),
    ],
)
def test_connections_that_are_not_accepted_yet_are_dropped(runc: str, option: str) -> None:
    subject = Given(engine={"runc": runc}).subject()
    assert option in criu_options(subject)


def test_connections_are_closed_only_where_they_may_be() -> None:
    assert "tcp-close" in criu_options(Given().subject())
    assert "tcp-close" not in criu_options(Given(wish=Wish(tcp=Tcp.SKIP)).subject())
    assert "tcp-close" not in criu_options(on(criu_options=("tcp-established",)).subject())


@pytest.mark.parametrize(
    ("given", "locked"),
    [
        (Given(), False),
        (Given(wish=Wish(tcp=Tcp.SKIP)), False),
        (Given(wish=Wish(tcp=Tcp.KEEP)), True),
        (on(criu_options=("tcp-established",)), True),
        (on(criu_options=("network-lock",)), True),
        (on(criu="3.19"), False),
        (on(criu="3.17.1"), True),
        (on(criu=""), True),
    ],
)
def test_connections_that_are_not_kept_are_not_guarded(given: Given, locked: bool) -> None:
    assert ("network-lock-skip" not in criu_options(given.subject())) is locked


def test_deleted_files_are_saved_up_to_what_is_configured() -> None:
    wished = Wish(ghost_limit_mib=7)
    subject = Given(processes={"deleted_files": ("/x",)}, wish=wished).subject()
    assert criu_options(subject)[-1] == "ghost-limit 7M"


@pytest.mark.parametrize(
    ("value", "group"), [("db", "db"), (" a.b-c_1 ", "a.b-c_1"), ("a" * 63, "a" * 63)]
)
def test_a_group_has_a_plain_name(value: str, group: str) -> None:
    labels = {LABEL_GROUP: value}
    assert (wish(labels, Wish(group="x")).group, mistakes(labels)) == (group, ())


@pytest.mark.parametrize("value", ["", "-", "a b", "a" * 64, "é", "a/b"])
def test_another_one_is_none_and_that_is_said(value: str) -> None:
    labels = {LABEL_GROUP: value}
    assert wish(labels, Wish(group="x")).group == "x"
    assert mistakes(labels) == (f"{LABEL_GROUP} may be {GROUP_WORDS}",)
