import gc
import json
import os
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from drainer.errors import EngineTimeoutError, RuntimeRefusedError, StorageError
from drainer.host.checksum import checksum
from drainer.runtime import abort, conntrack, quiet
from drainer.runtime.base import Order, Place, Runtime
from drainer.runtime.conntrack import Connection, End
from drainer.runtime.guard import Guard
from drainer.runtime.runc import Runc
from tests.unit.host.images_builder import fields, pagemap
from tests.unit.runtime.machine import ID, OTHER, Machine, alive, until

CRIU_LOG = """\
(00.000051) Version: 4.1.1 (gitid 0)
(00.904173) Error (criu/sk-inet.c:191): inet: Connected TCP \x1bsocket.
(02.709482) Error (criu/cr-dump.c:2111): Dumping FAILED.
"""
RUNC_LOG = """\
{"level":"error","msg":"first","time":"t"}
{"level":"error","msg":"criu failed: type DUMP errno 0","time":"t"}
no JSON
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def checkpoint(machine: Machine, *criu: str, timeout: float = 10.0) -> None:
    machine.runc.checkpoint(ID, "/run/runc/moby", machine.place, criu, timeout)


def modes(directory: Path) -> dict[str, int]:
    return {str(p.relative_to(directory)): p.stat().st_mode & 0o777 for p in directory.rglob("*")}


# Checkpoints.


def test_runc_is_told_to_checkpoint_and_leave_running(machine: Machine) -> None:
    protocol: Runtime = machine.runc
    protocol.checkpoint(ID, "/run/runc/moby", machine.place, ["tcp-close"], 10)
    assert machine.calls == [
        [
            *("--root", "/run/runc/moby", "--log", str(machine.place.work / "runc.log")),
            *("--log-format", "json", "checkpoint", "--leave-running"),
            *("--image-path", str(machine.place.images)),
            *("--work-path", str(machine.place.work), ID),
        ]
    ]


def test_what_only_flags_can_set_are_flags_and_the_rest_is_in_a_file(machine: Machine) -> None:
    checkpoint(
        machine,
        *("file-locks", "tcp-close", "network-lock-skip", "ghost-limit 9", "ext-unix-sk"),
        "tcp-skip-in-flight",
    )
    assert machine.calls[0][-4:] == ["--file-locks", "--ext-unix-sk", "--tcp-skip-in-flight", ID]
    environment = machine.environment
    assert environment.pop("CRIU_CONFIG_FILE") == str(machine.place.work / "criu.conf")
    assert environment.items() >= {"PATH": os.environ["PATH"]}.items()
    assert (
        machine.place.work / "criu.conf"
    ).read_text() == "tcp-close\nnetwork-lock skip\nghost-limit 9\n"


def dumping(monkeypatch: pytest.MonkeyPatch, *sizes: int, before: int = 50) -> list[list[str]]:
    """Let each pre-dump save so many bytes; return the calls of runc.

    Of 100 pages it leaves so many to the one before.
    """
    calls: list[list[str]] = []
    left = list(sizes)
    popen = subprocess.Popen

    def dump(command: list[str], **_: object) -> "subprocess.Popen[bytes]":
        calls.append(command[1:])
        images = Path(command[command.index("--image-path") + 1])
        if "--pre-dump" in command:
            (images / "pages-1.img").write_bytes(bytes(left.pop(0)))
            entries = [fields((1, 0), (2, 100 - before), (4, 4))]
            if "--parent-path" in command:
                (images / "parent").symlink_to(command[command.index("--parent-path") + 1])
                entries.append(fields((1, 100 << 12), (2, before), (4, 1)))
            (images / "pagemap-1.img").write_bytes(pagemap(1, *entries))
        return popen(["true"])

    monkeypatch.setattr("drainer.runtime.runc.subprocess.Popen", dump)
    return calls


def test_runc_itself_thaws_what_it_finds_frozen(machine: Machine) -> None:
    machine.runc.thaw(ID, "/run/runc/moby")
    assert machine.calls == [["--root", "/run/runc/moby", "resume", ID]]


MIB = 1 << 20


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ((8 * MIB,), 1),
        ((64 * MIB, 8 * MIB), 2),
        ((64 * MIB, 40 * MIB), 2),
        ((64 * MIB, 57 * MIB), 2),
        ((64 * MIB, 31 * MIB, 17 * MIB), 3),
    ],
)
def test_pre_dumps_are_made_as_long_as_they_pay(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], count: int
) -> None:
    calls = dumping(monkeypatch, *sizes)
    machine.runc.pre_dump(ID, "/run/runc/moby", machine.place, ["tcp-close"], 10)
    assert len(calls) == count
    for number, call in enumerate(calls, 1):
        assert call[call.index("--image-path") + 1] == str(machine.place.path / f"pre-{number}")
        assert "--pre-dump" in call
        assert "--leave-running" not in call
        parent = [call[n + 1] for n, word in enumerate(call) if word == "--parent-path"]
        assert parent == ([f"../pre-{number - 1}"] if number > 1 else [])
    machine.runc.checkpoint(ID, "/run/runc/moby", machine.place, ["tcp-close"], 10)
    last = calls[-1]
    assert last[last.index("--parent-path") + 1] == f"../pre-{count}"
    assert "--pre-dump" not in last
    assert "--leave-running" in last


def test_pre_dumps_in_vain_leave_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = dumping(monkeypatch, 64 * MIB, 64 * MIB, before=9)
    assert machine.runc.pre_dump(ID, "/run/runc/moby", machine.place, [], 10) == []
    assert not list(machine.place.path.glob("pre-*"))
    assert len(calls) == len(["pre-1", "pre-2"])
    machine.runc.checkpoint(ID, "/run/runc/moby", machine.place, [], 10)
    assert "--parent-path" not in calls[-1]


@pytest.mark.parametrize(("sizes", "before"), [((64, 64), 10), ((8,), 0)])
def test_pre_dumps_that_the_checkpoint_needs_stay(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], before: int
) -> None:
    """Of a program that grows, the second one may save as much as the first one."""
    dumping(monkeypatch, *(size * MIB for size in sizes), before=before)
    made = machine.runc.pre_dump(ID, "/run/runc/moby", machine.place, [], 10)
    assert len(made) == len(list(machine.place.path.glob("pre-*"))) == len(sizes)


def test_its_memory_is_read_as_it_is_written(machine: Machine) -> None:
    machine.plan(pages="memory", **{"dump.log": "x"})
    expected = {"pages-1.img": checksum(b"memory")}
    place, root = machine.place, "/run/runc/moby"
    (before,) = machine.runc.pre_dump(ID, root, place, [], 10)
    assert before(lambda: False) == expected
    assert machine.runc.checkpoint(ID, root, place, [], 10)(lambda: False) == expected


def test_a_checkpoint_is_roots_alone(machine: Machine) -> None:
    old = os.umask(0o022)
    try:
        machine.plan(**{"dump.log": "x", "log": ""})
        checkpoint(machine)
    finally:
        os.umask(old)
    assert machine.place.path.stat().st_mode & 0o777 == 0o700
    assert machine.place.path.parent.stat().st_mode & 0o777 == 0o700
    found = modes(machine.place.path)
    assert found.pop("work/criu.conf") & 0o400
    assert found == {
        "images": 0o700,
        "images/inventory.img": 0o600,
        "work": 0o700,
        "work/dump.log": 0o600,
        "work/runc.log": 0o600,
        "unused": 0o600,
    }


@pytest.mark.parametrize(
    ("dump", "log", "expected"),
    [
        (CRIU_LOG, RUNC_LOG, "inet: Connected TCP \\x1bsocket."),
        ("(00.1) nothing\n", RUNC_LOG, "criu failed: type DUMP errno 0"),
        (None, RUNC_LOG, "criu failed: type DUMP errno 0"),
        (None, "[]\n{}\n1", "runc has not said why"),
        (None, None, "runc has not said why"),
    ],
)
def test_a_refusal_names_its_cause(
    machine: Machine, dump: str | None, log: str | None, expected: str
) -> None:
    machine.plan(**{"status": 1, "dump.log": dump, "log": log})
    with pytest.raises(RuntimeRefusedError) as raised:
        checkpoint(machine)
    assert raised.value.message == f"CRIU could not checkpoint it: {expected}"


NOT_STOPPED_LOG = """\
(00.901) Seized task 306, state 0
(10.001) Error (criu/cr-dump.c:1467): Timeout reached. Try to interrupt: 0
"""


@pytest.mark.parametrize(
    ("log", "timeout", "asked"),
    [(NOT_STOPPED_LOG, 60, 2), (NOT_STOPPED_LOG, 15, 1), (CRIU_LOG, 60, 1)],
)
def test_processes_that_did_not_stop_in_time_are_asked_once_more(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, log: str, timeout: float, asked: int
) -> None:
    machine.plan(**{"status": 1, "dump.log": log, "log": ""})
    popen = subprocess.Popen

    def dump(command: list[str], **how: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401
        if machine.calls:
            machine.plan()
        assert not any(machine.place.images.iterdir())
        return popen(command, **how)

    monkeypatch.setattr("drainer.runtime.runc.subprocess.Popen", dump)
    with nullcontext() if asked > 1 else pytest.raises(RuntimeRefusedError):
        checkpoint(machine, timeout=timeout)
    assert machine.calls == machine.calls[:1] * asked
    assert machine.place.unused.exists() == (asked > 1)


def test_processes_that_do_not_stop_are_not_asked_for_ever(machine: Machine) -> None:
    machine.plan(**{"status": 1, "dump.log": NOT_STOPPED_LOG, "log": ""})
    with pytest.raises(RuntimeRefusedError, match="Timeout reached"):
        checkpoint(machine, timeout=60)
    assert len(machine.calls) == 2


def test_a_runc_that_is_gone_is_a_refusal(machine: Machine) -> None:
    machine.file.unlink()
    with pytest.raises(RuntimeRefusedError, match="cannot be run: No such file"):
        checkpoint(machine)


def test_a_checkpoint_that_takes_too_long_fails_by_itself(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _signal: killed.append(pid))
    machine.plan(files=True)
    with pytest.raises(RuntimeRefusedError, match="not made within 1 s"):
        checkpoint(machine, timeout=0.6)
    assert not (machine.here / "ended").exists()
    assert not machine.place.images.exists()
    assert killed == []


def test_a_checkpoint_that_does_not_notice_is_killed_with_its_children(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abort, "FAIL_SECONDS", 0.2)
    machine.plan(child=True, sleep=60)
    with pytest.raises(RuntimeRefusedError):
        checkpoint(machine, timeout=1)
    child = int((machine.here / "child").read_text())
    until(lambda: not alive(child))
    assert not (machine.here / "ended").exists()


def test_a_runc_that_cannot_be_ended_goes_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FAIL_SECONDS", "KILL_SECONDS"):
        monkeypatch.setattr(abort, name, 0.1)
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    machine.plan(sleep=3)

    def give_up() -> None:
        with pytest.raises(EngineTimeoutError, match="cannot be ended"):
            checkpoint(machine, timeout=0.1)
        gc.collect()

    with pytest.warns(ResourceWarning, match="still running"):
        give_up()
    assert not (machine.here / "ended").exists()
    until((machine.here / "ended").exists)


def test_a_checkpoint_is_never_made_over_another(machine: Machine) -> None:
    checkpoint(machine)
    with pytest.raises(StorageError, match="File exists"):
        checkpoint(machine)
    assert len(machine.calls) == 1


def test_a_checkpoint_is_deleted_with_its_drains_last(machine: Machine) -> None:
    other = Place(machine.place.path.parent / OTHER)
    checkpoint(machine)
    machine.runc.checkpoint(OTHER, "/r", other, [], 10)
    machine.runc.delete(machine.place)
    assert other.path.exists()
    machine.runc.delete(other)
    assert not other.path.parent.exists()
    machine.runc.delete(other)
    assert (machine.here / "checkpoints").is_dir()


def test_what_cannot_be_deleted_is_an_error(machine: Machine) -> None:
    machine.place.path.parent.mkdir(parents=True)
    machine.place.path.write_text("")
    with pytest.raises(StorageError, match="Not a directory"):
        machine.runc.delete(machine.place)


def test_why_a_restore_failed_is_in_its_log(machine: Machine) -> None:
    assert machine.runc.restore_error(machine.place) == ""
    machine.place.work.mkdir(parents=True)
    (machine.place.work / "restore.log").write_text(
        "(00.1)      1: Error (criu/files-reg.c:2): File \xe4 has bad size\n", "latin-1"
    )
    assert machine.runc.restore_error(machine.place) == "File \ufffd has bad size"


# Orders.


def order(machine: Machine, container: str = ID) -> Order:
    return Order(
        container,
        str(machine.root),
        machine.place,
        5.0,
        ["file-locks", "tcp-skip-in-flight", "b 1"],
        {"1.2.3.4": "02"},
    )


@pytest.fixture
def orders(machine: Machine) -> Path:
    machine.orders.mkdir(parents=True)
    return machine.orders


def test_an_order_says_everything_and_shuts_the_gate(machine: Machine, orders: Path) -> None:
    machine.runc.lay_out(order(machine))
    assert json.loads((orders / ID / "order.json").read_text()) == {
        "gate": str(machine.root / ID),
        "images": str(machine.place.images),
        "work": str(machine.place.work),
        "unused": str(machine.place.unused),
        "seconds": 5.0,
        "flags": ["file-locks"],
        "macs": {"1.2.3.4": "02"},
        "connections": "",
        "quiet": "",
        "drainer": quiet.owner(),
    }
    assert [p.name for p in (orders / ID).iterdir()] == ["order.json"]
    assert (orders / ID).stat().st_mode & 0o777 == 0o700
    assert (machine.root / ID).is_dir()


FAR = Connection(End("172.17.0.2", 80), End("192.0.2.1", 80), End("192.0.2.9", 9), inbound=True)


def test_connections_with_other_hosts_are_guarded_as_long_as_there_is_a_checkpoint(
    machine: Machine, orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def connections(*words: object) -> list[Connection]:
        asked.append(words)
        return [FAR]

    monkeypatch.setattr(conntrack, "connections", connections)
    machine.runc.guard(machine.place, ["172.17.0.2"], ["172.17.0.3"])
    assert asked == [(["172.17.0.2"], ["172.17.0.3"])]
    assert conntrack.read(machine.place.connections.read_text()) == [FAR]
    machine.runc.lay_out(order(machine))
    laid_out = json.loads((orders / ID / "order.json").read_text())
    assert laid_out["connections"] == str(machine.place.connections)
    machine.iptables.replace_all()
    machine.runc.sweep()
    assert machine.iptables.rules
    machine.runc.prune(machine.here / "checkpoints", {"drain"})
    assert machine.iptables.rules
    machine.runc.delete(machine.place)
    assert machine.iptables.rules is None


def test_what_is_pruned_is_guarded_no_longer(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conntrack, "connections", lambda *_: [FAR])
    machine.runc.guard(machine.place, [], [])
    machine.runc.prune(machine.here / "checkpoints", ())
    assert machine.iptables.rules is None
    assert machine.runc.clear_guard() == ""


def test_without_such_connections_nothing_is_guarded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conntrack, "connections", lambda *_: [])
    machine.runc.guard(machine.place, ["172.17.0.2"], [])
    machine.runc.end_guard(machine.place)
    assert not machine.iptables.asked
    assert not machine.place.path.exists()


def test_a_disk_that_takes_no_note_of_connections_is_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conntrack, "connections", lambda *_: [FAR])
    (machine.here / "checkpoints").write_text("")
    with pytest.raises(StorageError, match="Not a directory"):
        machine.runc.guard(machine.place, ["172.17.0.2"], [])


def test_a_kernel_that_does_not_tell_of_connections_is_a_refusal(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connections(*_: object) -> list[Connection]:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(conntrack, "connections", connections)
    with pytest.raises(RuntimeRefusedError, match="cannot be seen: Protocol not supported"):
        machine.runc.guard(machine.place, ["172.17.0.2"], [])


def test_an_order_replaces_what_a_former_one_left(machine: Machine, orders: Path) -> None:
    machine.runc.lay_out(order(machine))
    (orders / ID / "order.json").rename(orders / ID / "taken.json")
    (orders / ID / "status").write_text("1")
    machine.runc.lay_out(order(machine))
    assert [p.name for p in (orders / ID).iterdir()] == ["order.json"]


def test_the_runtimes_root_is_made(machine: Machine, orders: Path) -> None:
    machine.root.rmdir()
    machine.runc.lay_out(order(machine))
    assert machine.root.stat().st_mode & 0o777 == 0o711
    assert (orders / ID).is_dir()


def test_an_order_that_was_not_taken_is_taken_back_with_its_gate(
    machine: Machine, orders: Path
) -> None:
    machine.runc.lay_out(order(machine))
    assert not machine.runc.take_back(ID, str(machine.root))
    assert not any(orders.iterdir())
    assert not any(machine.root.iterdir())
    assert not machine.runc.take_back(ID, str(machine.root))
    assert not machine.runc.take_back(ID, "")


def test_an_order_that_was_taken_leaves_the_state_to_runc(machine: Machine, orders: Path) -> None:
    machine.runc.lay_out(order(machine))
    (orders / ID / "order.json").rename(orders / ID / "taken.json")
    (orders / ID / "restore.pid").write_text("0")
    assert machine.runc.take_back(ID, str(machine.root))
    assert not any(orders.iterdir())
    assert (machine.root / ID).is_dir()


def test_a_gate_that_is_not_empty_is_never_removed(machine: Machine, orders: Path) -> None:
    state = machine.root / ID / "state.json"
    state.parent.mkdir()
    state.write_text("{}")
    machine.runc.lay_out(order(machine))
    assert not machine.runc.take_back(ID, str(machine.root))
    assert not any(orders.iterdir())
    assert state.exists()


def test_an_order_that_cannot_be_written_is_an_error(machine: Machine, orders: Path) -> None:
    with pytest.raises(StorageError, match="File exists"):
        machine.runc.lay_out(Order(ID, str(machine.file), machine.place, 5.0))
    orders.rmdir()
    with pytest.raises(StorageError, match="No such file"):
        machine.runc.lay_out(order(machine))
    assert not machine.runc.take_back(ID, str(machine.root))
    assert not any(machine.root.iterdir())


def test_a_sweep_leaves_orders_under_way_alone(machine: Machine, orders: Path) -> None:
    for container in (ID, OTHER):
        machine.runc.lay_out(order(machine, container))
    (orders / ID / "order.json").rename(orders / ID / "taken.json")
    machine.runc.sweep()
    assert [p.name for p in orders.iterdir()] == [ID]
    assert [p.name for p in machine.root.iterdir()] == [ID]
    (orders / ID / "status").write_text("0")
    machine.runc.sweep()
    assert not any(orders.iterdir())


def test_an_order_is_withdrawn_only_if_nobody_has_taken_it(machine: Machine, orders: Path) -> None:
    for container in (ID, OTHER):
        machine.runc.lay_out(order(machine, container))
    (orders / ID / "order.json").rename(orders / ID / "taken.json")
    assert not machine.runc.withdraw(ID, str(machine.root))
    assert (orders / ID / "taken.json").exists()
    assert (machine.runc.is_held(ID), machine.runc.is_held(OTHER)) == (True, False)
    (orders / ID / "started").touch()
    assert not machine.runc.is_held(ID)
    assert machine.runc.withdraw(OTHER, str(machine.root))
    assert not machine.runc.withdraw(OTHER, str(machine.root))
    assert [p.name for p in machine.root.iterdir()] == [ID]


def test_the_window_is_open_while_the_block_runs(machine: Machine) -> None:
    with machine.runc.window():
        assert machine.path.stat().st_mode & 0o777 == 0o755
    assert not machine.path.exists()


def test_without_a_place_there_is_no_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runc = Runc("/usr/bin/runc", "", "", Guard(tmp_path), tmp_path / "run" / "orders")
    with pytest.raises(StorageError), runc.window():
        pytest.fail("the window is open")
