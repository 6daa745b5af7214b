import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drainer.runtime.agent import HOLD
from drainer.runtime.stand_in import CALL
from tests.unit.runtime.machine import ID, OTHER, Machine, alive, machine_with_window, until


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_with_window(tmp_path) as machine:
        yield machine


def file(machine: Machine, name: str) -> str:
    try:
        return (machine.order / name).read_text()
    except FileNotFoundError:
        return ""


def test_a_start_is_a_restore_held_until_the_network_is_laid(machine: Machine) -> None:
    machine.lay_out()
    assert machine.create() == 0
    pid = (machine.bundle / "init.pid").read_text()
    assert pid == file(machine, "restore.pid")  # the fake runc names itself
    assert alive(int(pid))
    assert (file(machine, "status"), (machine.order / "started").exists()) == ("", False)
    assert not (machine.order / "order.json").exists()
    assert machine.place.unused.exists()
    assert not machine.runc.is_unused(ID, machine.place), "it is under way"
    assert machine.call("start") == 0
    assert file(machine, "status") == "0"
    assert (machine.order / "started").exists()
    assert not alive(int(pid))
    assert machine.verbs == ["restore"]
    assert machine.runc.take_back(ID, str(machine.root))
    assert not machine.order.exists()


def test_the_restore_is_told_what_create_was_told(machine: Machine) -> None:
    machine.lay_out()
    create = machine.begin(
        *("create", "--bundle", str(machine.bundle), "--no-pivot"),
        f"--pid-file={machine.bundle / 'init.pid'}",
    )
    assert create.wait(10) == 0
    assert machine.call("start") == 0
    shared = machine.command("x")[1:-2]
    assert machine.calls == [
        [
            *(*shared, "restore", "--detach", "--no-subreaper"),
            *("--image-path", str(machine.place.images), "--work-path", str(machine.place.work)),
            *("--no-pivot", "--bundle", str(machine.bundle), ID),
        ]
    ]


def test_the_gate_is_opened_at_create(machine: Machine) -> None:
    machine.lay_out()
    assert (machine.root / ID).is_dir()
    machine.plan(refuse=1)
    assert machine.create() == 1
    assert (machine.root / ID).is_dir()  # the fake runc could make its own
    assert machine.runc.take_back(ID, str(machine.root))


@pytest.mark.parametrize("status", [1, 3])
def test_a_restore_that_fails_before_the_hook_makes_create_fail(
    machine: Machine, status: int
) -> None:
    machine.lay_out()
    machine.plan(refuse=status)
    assert machine.create() == status
    assert file(machine, "status") == str(status)
    assert not (machine.bundle / "init.pid").exists()
    assert machine.call("delete", "--force") == 0
    assert machine.verbs == ["restore", "delete"]


def test_a_restore_that_ends_well_without_its_hook_makes_create_fail(machine: Machine) -> None:
    machine.lay_out()
    machine.plan(refuse=0)
    assert machine.create() == 1


def test_a_restore_that_fails_after_its_release_makes_start_fail(machine: Machine) -> None:
    machine.lay_out()
    machine.plan(status=1, after=0.1)
    assert machine.create() == 0
    assert machine.call("start") == 1
    assert file(machine, "status") == "1"


def test_a_restore_that_is_killed_makes_start_fail(machine: Machine) -> None:
    machine.lay_out()
    assert machine.create() == 0
    os.kill(int(file(machine, "restore.pid")), signal.SIGKILL)
    assert machine.call("start") == signal.SIGKILL
    assert file(machine, "status") == "-9"


def test_a_runc_that_cannot_be_run_makes_create_fail(machine: Machine) -> None:
    machine.lay_out()
    machine.file.unlink()
    assert machine.create() == 1


def test_what_the_engine_has_configured_is_kept(machine: Machine) -> None:
    own = machine.here / "own"
    docker = {"path": "/bin/sh", "args": ["sh", "-c", f"cat > '{own}'"], "timeout": 5}
    spec = {
        "hostname": "ä",
        "hooks": {"prestart": [{"path": "/p"}], "createRuntime": [docker]},
        "annotations": {"a": "b"},
    }
    machine.configure(spec)
    machine.lay_out()
    assert machine.create() == 0
    found = machine.spec
    added = found["hooks"]["createRuntime"].pop()
    assert found == spec
    assert Path(added["args"][0]).is_absolute()
    assert added["args"][-3:] == [str(machine.order), "8.0", str(machine.place.unused)]
    assert json.loads(own.read_text())["id"] == ID
    assert machine.call("start") == 0


@pytest.mark.parametrize("spec", [{"hooks": None}, {"hooks": {"createRuntime": None}}])
def test_hooks_may_be_null(machine: Machine, spec: dict[str, object]) -> None:
    machine.configure({**spec, "annotations": None})
    machine.lay_out(flags=["file-locks"])
    assert machine.create() == 0
    assert machine.call("start") == 0


def test_criu_gets_the_options_of_this_restore(machine: Machine) -> None:
    machine.lay_out(flags=["file-locks", "unknown"])
    assert machine.create() == 0
    assert machine.call("start") == 0
    (restore,) = [call for call in machine.calls if "restore" in call]
    assert "--file-locks" in restore
    assert "--unknown" not in restore
    assert "CRIU_CONFIG_FILE" not in machine.environment


def test_criu_gets_the_options_of_the_dump(machine: Machine) -> None:
    machine.place.work.mkdir(parents=True, exist_ok=True)
    options = machine.place.work / "criu.conf"
    options.write_text("tcp-close\n")
    machine.lay_out()
    assert machine.create() == 0
    assert machine.call("start") == 0
    assert machine.environment["CRIU_CONFIG_FILE"] == str(options)


def test_links_are_named_by_what_they_lead_to(machine: Machine) -> None:
    target = machine.here / "target"
    target.touch()
    link = machine.here / "link"
    link.symlink_to("target")
    sources = [str(link), str(target), "proc", None]
    machine.configure({"mounts": [{"source": source} for source in sources] + [{}]})
    machine.lay_out()
    assert machine.create() == 0
    found = [mount.get("source") for mount in machine.spec["mounts"]]
    assert found == [str(target), str(target), "proc", None, None]
    assert machine.call("start") == 0


def test_an_order_is_obeyed_once(machine: Machine) -> None:
    machine.lay_out()
    machine.plan(refuse=1)
    assert machine.create() == 1
    assert machine.call("delete", "--force") == 0
    assert machine.create() == 0
    assert machine.verbs == ["restore", "delete", "create"]


@pytest.mark.parametrize("verb", ["delete", "kill"])
def test_delete_and_kill_end_a_restore_that_waits(machine: Machine, verb: str) -> None:
    machine.lay_out()
    assert machine.create() == 0
    begin = time.monotonic()
    (machine.here / "status").write_text("4")
    assert machine.call(verb) == 4
    assert time.monotonic() - begin < 5
    assert (machine.here / "hook-failed").exists()
    assert file(machine, "status") == "1"
    assert machine.verbs == ["restore", verb]


def test_kill_waits_for_a_restore_that_was_let_go(machine: Machine) -> None:
    machine.lay_out()
    machine.plan(after=0.3)
    assert machine.create() == 0
    start = machine.begin("start")
    until((machine.order / "started").exists)
    until(lambda: not alive_hook(machine))
    assert machine.call("kill") == 0
    assert (start.wait(10), file(machine, "status")) == (0, "0")


def alive_hook(machine: Machine) -> bool:
    """Tell whether the hook waits: only then the FIFO has a reader."""
    try:
        os.close(os.open(machine.order / "release", os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_a_hook_that_nobody_releases_ends(machine: Machine) -> None:
    machine.order.mkdir()
    os.mkfifo(machine.order / "release")
    done = subprocess.run(
        [sys.executable, "-I", "-S", HOLD, machine.order, "0.2", machine.place.unused],
        input=b'{"id":"a","pid":4711}',
        env={},
        check=False,
    )
    assert (done.returncode, file(machine, "pid")) == (1, "4711")


@pytest.mark.parametrize(
    "state",
    [
        {"ociVersion": "1.2.0", "id": ID, "status": "creating", "pid": 4711, "bundle": "/b"},
        {"id": ID, "pid": 4711, "annotations": {"pid": "1", '"pid":': '"pid":1'}},
        {"id": '"pid":1,', "pid": 4711},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n", ":\t")])
def test_the_pid_is_that_of_the_state(
    machine: Machine, state: dict[str, object], separators: tuple[str, str]
) -> None:
    machine.order.mkdir()
    os.mkfifo(machine.order / "release")
    subprocess.run(
        [sys.executable, "-I", "-S", HOLD, machine.order, "0", machine.place.unused],
        input=json.dumps(state, separators=separators).encode(),
        check=False,
    )
    assert file(machine, "pid") == "4711"


@pytest.mark.parametrize("state", [b"", b"{", b'{"pid":', b'{"pid":"1"}'])
def test_without_a_state_nothing_is_restored(machine: Machine, state: bytes) -> None:
    machine.order.mkdir()
    os.mkfifo(machine.order / "release")
    done = subprocess.run(
        [sys.executable, "-I", "-S", HOLD, machine.order, "5", machine.place.unused],
        input=state,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert (done.returncode, file(machine, "pid")) == (1, "")


def test_a_checkpoint_is_used_before_anything_of_it_can_run(machine: Machine) -> None:
    machine.lay_out()
    assert machine.create() == 0
    assert machine.call("start") == 0
    assert not machine.place.unused.exists()
    assert not machine.runc.is_unused(ID, machine.place)


def test_a_restore_that_was_told_to_give_up_has_used_nothing(machine: Machine) -> None:
    machine.lay_out()
    assert machine.create() == 0
    assert machine.call("kill") == 0
    until((machine.order / "status").exists)
    assert machine.runc.is_unused(ID, machine.place)


def test_what_cannot_be_noted_is_not_let_go(machine: Machine) -> None:
    machine.lay_out()
    assert machine.create() == 0
    machine.place.path.rename(machine.place.path.with_name("elsewhere"))
    assert machine.call("start") == 1


@pytest.mark.parametrize(("written", "lost"), [("", True), ("[[1]]", True), ("[]", False)])
def test_connections_that_cannot_be_put_back_do_not_cost_the_restore(
    machine: Machine, written: str, lost: bool
) -> None:
    machine.place.path.mkdir(parents=True)
    machine.place.connections.write_text(written)
    machine.lay_out()
    assert machine.create() == 0
    assert machine.call("start") == 0
    assert machine.runc.lost_connections(ID) == lost


@pytest.mark.parametrize("held", ["before", "after"])
def test_a_restore_that_never_ends_is_given_up(machine: Machine, held: str) -> None:
    machine.lay_out(0.2 if held == "before" else 20)
    machine.plan(**{held: 60})
    begin = time.monotonic()
    if held == "before":
        assert machine.create() == 1
    else:
        assert machine.create() == 0
        (machine.order / "taken.json").write_text('{"seconds": 0.2, "macs": {}}')
        assert machine.call("start") == 1
    assert time.monotonic() - begin < 5
    until(lambda: file(machine, "status") == "-9")
    assert not alive(int(file(machine, "restore.pid")))


def test_other_calls_and_other_containers_go_to_runc(machine: Machine) -> None:
    machine.lay_out()
    (machine.here / "status").write_text("6")
    assert machine.call("state") == 6
    assert machine.call("start") == 6  # nothing has begun
    assert machine.call("kill", "--all") == 6
    command = machine.command("create")
    assert subprocess.run([*command[:-1], OTHER], check=False).returncode == 6
    assert subprocess.run([machine.path, ID], check=False).returncode == 6
    assert subprocess.run([machine.path, "--version"], check=False).returncode == 6
    assert machine.calls[0] == machine.command("state")[1:]
    assert machine.calls[-2:] == [[ID], ["--version"]]
    assert (machine.order / "order.json").exists()


@pytest.mark.parametrize("verb", ["create", "restore"])
def test_runc_gets_the_umask_and_the_signals_that_it_would_have_had(
    machine: Machine, verb: str
) -> None:
    machine.lay_out()
    if verb == "create":
        (machine.order / "order.json").rename(machine.order / "taken.json")
    pid_file = str(machine.bundle / "init.pid")
    command = machine.command("create", "--bundle", str(machine.bundle), "--pid-file", pid_file)
    subprocess.run(command, umask=0o026, check=True)
    assert machine.verbs == [verb]
    assert (machine.here / "umask").read_text() == "0026\n"
    ignored = int((machine.here / "ignored").read_text().split()[1], 16)
    # A shell's background jobs begin with two signals ignored, and so may this one.
    inherited = {number for number in signal.Signals if signal.getsignal(number) is signal.SIG_IGN}
    for number in inherited - {signal.SIGPIPE, signal.SIGXFSZ}:
        ignored &= ~(1 << (number - 1))
    assert ignored == 0


def test_what_was_never_begun_is_not_waited_for(machine: Machine) -> None:
    state = machine.root / ID / "state.json"
    machine.lay_out()
    state.write_text("{}")
    assert machine.create() == 1
    assert (file(machine, "status"), state.exists()) == ("1", True)
    begin = time.monotonic()
    assert machine.call("delete", "--force") == 0
    assert time.monotonic() - begin < 5
    assert machine.verbs == ["delete"]
    machine.runc.sweep()
    assert not any(machine.orders.iterdir())


@pytest.mark.parametrize("broken", ["{", "[]", '{"hooks": 1}'])
def test_a_bundle_that_cannot_be_read_makes_create_fail(machine: Machine, broken: str) -> None:
    machine.lay_out()
    (machine.bundle / "config.json").write_text(broken)
    assert machine.create() == 1
    assert file(machine, "status") == "1"
    assert machine.calls == []


@pytest.mark.parametrize(
    "words",
    [
        ["exec", ID, "kill", "1"],
        ["--root", "start", "exec", "-d", ID, "delete"],
        ["--debug", "--log=x", "update", ID, "start"],
    ],
)
def test_a_word_further_back_is_not_the_verb(machine: Machine, words: list[str]) -> None:
    machine.lay_out()
    assert machine.create() == 0
    subprocess.run([machine.path, *words], check=True)
    assert machine.calls[1:] == [words]
    assert not (machine.order / "started").exists()
    assert file(machine, "status") == ""
    assert machine.call("start") == 0


def test_a_restore_whose_create_was_killed_is_ended_by_delete(machine: Machine) -> None:
    machine.lay_out(20)
    machine.plan(before=0.7)
    create = machine.begin_create()
    until(lambda: file(machine, "restore.pid"))
    create.kill()
    begin = time.monotonic()
    assert machine.call("delete", "--force") == 0
    assert time.monotonic() - begin < 5
    assert (machine.here / "hook-failed").exists()
    assert file(machine, "status") == "1"


@pytest.mark.parametrize("restored", [True, False])
def test_what_runc_has_created_since_is_started_by_runc(machine: Machine, restored: bool) -> None:
    machine.lay_out()
    if restored:
        assert machine.create() == 0
        assert machine.call("start") == 0
    else:
        machine.plan(refuse=1)
        assert machine.create() == 1
    (machine.here / "status").write_text("9")
    assert machine.call("delete") == 9
    assert machine.create() == 9
    assert machine.call("start") == 9
    assert machine.call("kill") == 9
    assert machine.verbs == ["restore", "delete", "create", "start", "kill"]
    assert machine.runc.take_back(ID, str(machine.root))


def test_an_order_that_is_being_laid_out_stays_one(machine: Machine) -> None:
    machine.lay_out()
    (machine.order / "order.json").rename(machine.order / "order.json.new")
    (machine.here / "status").write_text("1")  # the gate is shut
    assert machine.create() == 1
    (machine.order / "order.json.new").rename(machine.order / "order.json")
    assert machine.create() == 0
    assert machine.call("start") == 0
    assert machine.verbs == ["create", "restore"]


def test_the_configuration_is_utf_8_in_any_locale(machine: Machine) -> None:
    (machine.bundle / "config.json").write_bytes('{"hostname": "ä"}'.encode())
    machine.lay_out()
    pid_file = str(machine.bundle / "init.pid")
    create = machine.command("create", "--bundle", str(machine.bundle), "--pid-file", pid_file)
    agent = [sys.executable, "-I", "-S", "-X", "utf8=0", str(CALL)]
    subprocess.run(
        [*agent, str(machine.order), str(machine.file), *create[1:]],
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        check=True,
    )
    assert machine.spec["hostname"] == "ä"
    assert machine.call("start") == 0


def test_a_restore_under_way_is_ended_with_its_order(machine: Machine) -> None:
    machine.lay_out(20)
    machine.plan(after=60)
    assert machine.create() == 0
    start = machine.begin("start")
    until((machine.order / "started").exists)
    pid = int(file(machine, "restore.pid"))
    assert machine.runc.take_back(ID, str(machine.root))
    until(lambda: not alive(pid))
    assert not machine.order.exists()
    start.kill()


def test_a_restore_that_the_engine_has_left_held_is_undone_by_runc_itself(
    machine: Machine,
) -> None:
    machine.lay_out(60)
    assert machine.create() == 0
    begin = time.monotonic()
    assert machine.runc.take_back(ID, str(machine.root))
    assert time.monotonic() - begin < 10
    assert (machine.here / "hook-failed").exists()
    assert machine.verbs == ["restore"]


def test_what_a_killed_restore_has_left_of_the_container_s_state_is_removed(
    machine: Machine,
) -> None:
    machine.lay_out(20)
    machine.plan(after=60)
    assert machine.create() == 0
    start = machine.begin("start")
    until((machine.order / "started").exists)
    assert machine.runc.take_back(ID, str(machine.root))
    start.kill()
    assert machine.calls[-1] == ["--root", str(machine.root), "delete", "--force", ID]


def test_a_pid_that_is_another_process_by_now_is_left_alone(machine: Machine) -> None:
    machine.order.mkdir()
    (machine.order / "taken.json").write_text("{}")
    with subprocess.Popen(["sleep", "60"]) as other:
        for name in ("restore.pid", "pid"):
            (machine.order / name).write_text(str(other.pid))
        assert machine.runc.take_back(ID, str(machine.root))
        time.sleep(0.05)
        assert other.poll() is None
        other.kill()
