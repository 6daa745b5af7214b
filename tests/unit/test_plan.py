import random
from dataclasses import replace

from drainer.model import (
    Bond,
    Container,
    EngineFacts,
    HostFacts,
    Mount,
    Plan,
    PlanEntry,
    ProcessFacts,
    RestartPolicy,
    Route,
    Verdict,
)
from drainer.networks import Address
from drainer.order import all_bonds
from drainer.plan import make_plan
from tests.unit.rules.cases import ENGINE, HOST, PROCESSES


def plan_of(*containers: Container, host: HostFacts = HOST, engine: EngineFacts = ENGINE) -> Plan:
    return make_plan(host, engine, containers, {c.id: PROCESSES for c in containers})


def by_name(plan: Plan) -> dict[str, PlanEntry]:
    return {entry.container.name: entry for entry in plan.entries}


def reason_ids(entry: PlanEntry) -> list[str]:
    return [reason.id for reason in entry.reasons]


def test_an_ordinary_container_is_carried() -> None:
    web = Container("a", "web", exec_sessions=1)
    plan = plan_of(web)
    assert (plan.host, plan.engine, plan.refusals) == (HOST, ENGINE, ())
    (entry,) = plan.entries
    assert (entry.container, entry.verdict, entry.reasons) == (web, Verdict.CARRY, ())
    assert [note.id for note in entry.notes] == ["exec_sessions"]
    assert entry.expected_bytes == PROCESSES.expected_bytes
    assert plan.carried == (entry,)


def test_a_skipped_container_has_all_its_reasons_and_no_notes() -> None:
    (entry,) = plan_of(Container("a", "web", tty=True, pid_mode="host", exec_sessions=1)).entries
    assert (entry.verdict, reason_ids(entry)) == (Verdict.SKIP, ["tty", "pid_host"])
    assert entry.notes == ()


def test_a_host_that_refuses_skips_everything_for_that_reason() -> None:
    host = replace(HOST, criu="")
    plan = plan_of(Container("a", "web"), Container("b", "db", tty=True), host=host)
    assert [refusal.id for refusal in plan.refusals] == ["criu_missing"]
    assert [entry.reasons for entry in plan.entries] == [plan.refusals, plan.refusals]
    assert plan.carried == ()


def test_each_goes_by_the_first_route_with_nothing_against_it() -> None:
    containers = (Container("a", "web"), Container("b", "withinit", init=True))
    locked = replace(PROCESSES, file_locks=1, deleted_files=("/big",))
    entries = by_name(make_plan(HOST, ENGINE, containers, {"a": PROCESSES, "b": locked}))
    assert (entries["web"].route, entries["web"].route_reasons) == (Route.ENGINE, ())
    assert (entries["web"].runtime_root, entries["web"].criu_options) == ("", ())
    by_runtime = entries["withinit"]
    assert by_runtime.route is Route.RUNTIME
    ids = [reason.id for reason in by_runtime.route_reasons]
    assert ids == ["init_process", "file_locks", "ghost_file_large"]
    assert by_runtime.runtime_root == PROCESSES.runtime_root
    assert by_runtime.criu_options == (
        "file-locks",
        "skip-in-flight",
        "tcp-close",
        "network-lock-skip",
        "ghost-limit 1024M",
    )


def test_a_route_that_the_host_refuses_is_not_taken() -> None:
    engine = replace(ENGINE, experimental=False)
    plan = plan_of(Container("a", "web"), engine=engine)
    assert (plan.refusals, plan.entries[0].route) == ((), Route.RUNTIME)
    reasons = plan.entries[0].route_reasons
    assert [reason.id for reason in reasons] == ["engine_not_experimental"]
    none = plan_of(Container("a", "web"), engine=engine, host=replace(HOST, stand_in=""))
    ids = ["engine_not_experimental", "stand_in_impossible"]
    assert [refusal.id for refusal in none.refusals] == ids


def test_a_forced_route_is_the_only_one() -> None:
    web = Container("a", "web", init=True)
    forced = make_plan(HOST, ENGINE, [web], {"a": PROCESSES}, [Route.ENGINE])
    assert reason_ids(forced.entries[0]) == ["init_process"]
    forced = make_plan(HOST, ENGINE, [Container("a", "web")], {"a": PROCESSES}, [Route.RUNTIME])
    assert (forced.entries[0].route, forced.entries[0].route_reasons) == (Route.RUNTIME, ())


def test_one_whom_no_route_carries_has_first_what_holds_on_all_of_them() -> None:
    processes = replace(PROCESSES, runtime="/opt/runc")
    shell = Container("a", "shell", tty=True, init=True)
    (entry,) = make_plan(HOST, ENGINE, [shell], {"a": processes}).entries
    assert reason_ids(entry) == ["tty"]
    fixed = Container("a", "web", init=True)
    (entry,) = make_plan(HOST, ENGINE, [fixed], {"a": processes}).entries
    assert reason_ids(entry) == ["init_process", "runtime_fixed"]


def test_a_refused_route_is_no_reason_of_a_container_s() -> None:
    shell = Container("a", "shell", tty=True)
    (entry,) = plan_of(shell, engine=replace(ENGINE, experimental=False)).entries
    assert reason_ids(entry) == ["tty"]


def test_entries_come_by_wave_then_name() -> None:
    plan = plan_of(
        Container("1", "db"),
        Container("2", "zoo"),
        Container("3", "web", links=("db",)),
        Container("4", "app"),
    )
    assert [(e.wave, e.container.name) for e in plan.entries] == [
        (0, "app"),
        (0, "web"),
        (0, "zoo"),
        (1, "db"),
    ]


def test_needs_are_the_providers_in_the_plan_once_each() -> None:
    web = Container("a", "web", network_mode="container:db", links=("db", "cache", "gone"))
    entries = by_name(plan_of(web, Container("b", "db"), Container("c", "cache")))
    assert entries["web"].needs == ("b", "c")
    assert entries["db"].needs == ()


def test_a_provider_that_is_skipped_takes_its_users_along() -> None:
    entries = by_name(
        plan_of(
            Container("1", "a", links=("b",)),
            Container("2", "b", network_mode="container:c"),
            Container("3", "c", tty=True),
            Container("4", "d", volumes_from=("c",)),
        )
    )
    assert reason_ids(entries["c"]) == ["tty"]
    assert reason_ids(entries["b"]) == ["provider_skipped"]
    assert entries["b"].reasons[0].detail == "c (network)"
    assert reason_ids(entries["a"]) == ["provider_skipped"]
    assert entries["d"].verdict is Verdict.CARRY


def test_in_a_circle_one_skipped_container_takes_all_along() -> None:
    circle = [
        Container("1", "a", links=("b",)),
        Container("2", "b", links=("c",)),
        Container("3", "c", links=("a",)),
    ]
    assert len(plan_of(*circle).carried) == 3
    for number in range(3):
        broken = [replace(c, tty=i == number) for i, c in enumerate(circle)]
        assert plan_of(*broken).carried == ()


def test_a_container_whose_processes_were_not_seen_is_skipped() -> None:
    plan = make_plan(HOST, ENGINE, [Container("a", "web")], {})
    assert reason_ids(plan.entries[0]) == ["processes_unseen"]


def test_an_empty_host_has_an_empty_plan() -> None:
    assert plan_of().entries == ()


WEIRD = (
    "",
    ":",
    ",",
    "container:",
    "container::",
    "/",
    "\0",
    "\udcff",
    "a",
    "b",
    "a:b:c,b",
    "é" * 9,
)


def weird_container(generator: random.Random, identity: str, names: list[str]) -> Container:
    def text() -> str:
        return generator.choice([*WEIRD, *names])

    def some() -> tuple[str, ...]:
        return tuple(text() for _ in range(generator.randrange(3)))

    keys = ("project", "service", "depends_on", "oneoff")
    labels = {f"com.docker.compose.{k}": text() for k in keys if generator.random() < 0.8}
    if generator.random() < 0.2:
        labels["drainer.enable"] = text()
    return Container(
        identity,
        text(),
        restarting=generator.random() < 0.1,
        runtime=generator.choice(("runc", "", "\n")),
        network_mode=generator.choice(("bridge", f"container:{text()}", text())),
        pid_mode=generator.choice(("", "", f"container:{text()}", text())),
        ipc_mode=generator.choice(("private", f"container:{text()}")),
        cgroup_parent=text(),
        devices=some() if generator.random() < 0.1 else (),
        volumes_from=some(),
        links=some(),
        labels=labels,
        mounts=tuple(Mount("bind", t, t, propagation=t) for t in some()),
        addresses=tuple(Address(t, t) for t in some()),
    )


def weird_plan(seed: int) -> tuple[list[Container], Plan]:
    generator = random.Random(seed)  # noqa: S311 - reproducible, not secret
    names = [f"n{number}" for number in range(generator.randrange(1, 10))]
    containers = [weird_container(generator, name, names) for name in names]
    processes = {c.id: ProcessFacts(count=generator.choice((0, 1, 1, 1))) for c in containers}
    engine = replace(ENGINE, version=generator.choice(("26.1.5", "28.0.0", "", "x", "\0.1")))
    return containers, make_plan(HOST, engine, containers, processes)


def test_whatever_names_and_labels_say_there_is_a_plan() -> None:
    carried = circles = 0
    for seed in range(400):
        containers, plan = weird_plan(seed)
        assert sorted(e.container.id for e in plan.entries) == sorted(c.id for c in containers)
        carried += len(plan.carried)
        entries = {entry.container.id: entry for entry in plan.entries}
        for user, uses in all_bonds(containers).items():
            assert set(entries[user].needs) == {provider for provider, _ in uses}
            for provider, bond in uses:
                circles += entries[provider].wave <= entries[user].wave
                if bond in {Bond.NETWORK, Bond.IPC, Bond.LINK} and entries[provider].reasons:
                    assert entries[user].verdict is Verdict.SKIP
        for entry in plan.entries:
            assert (entry.verdict is Verdict.SKIP) == bool(entry.reasons)
            assert all(f.detail.isprintable() for f in (*entry.reasons, *entry.notes))
    assert carried > 50
    assert circles > 50


def test_an_address_that_will_change_is_told_with_why() -> None:
    address = Address("bridge", "172.17.0.3", mac="02:42:ac:11:00:03")
    web = Container("a", "web", addresses=(address,))
    assert plan_of(web).entries[0].notes == ()
    first = Address("bridge", "172.17.0.9")
    shell = Container(
        "b", "shell", tty=True, addresses=(first,), restart_policy=RestartPolicy("always")
    )
    (note,) = by_name(plan_of(web, shell))["web"].notes
    assert (note.id, note.detail) == (
        "address_changes",
        "bridge: shell is skipped, is started by Docker first, and may take it",
    )
    host = replace(HOST, stand_in="")
    (note,) = plan_of(web, host=host).entries[0].notes
    assert note.detail == "bridge: nothing can stand in for runc"
