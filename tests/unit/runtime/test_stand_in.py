import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drainer.errors import StorageError
from drainer.runtime.stand_in import LEAVE_SECONDS, find, in_place, is_own, remove, script, sweep
from tests.unit.runtime.machine import ID, OTHER, Machine, machine_with_window

AT_MOST = 0.050
"""Seconds that a call of runc may take longer: a shell's start, and no interpreter's."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_with_window(tmp_path) as machine:
        yield machine


def program(directory: Path, name: str = "runc") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text("#!/bin/sh\n")
    (directory / name).chmod(0o755)
    return directory / name


def directories(where: Path, names: str = "abc") -> tuple[Path, ...]:
    for name in names:
        (where / name).mkdir(mode=0o755)
    return tuple(where / name for name in names)


# Where it goes.


def test_it_goes_where_the_path_leads_before_runc(tmp_path: Path) -> None:
    first, second, third = directories(tmp_path)
    runc = program(second)
    assert find(f"{first}:{second}:{third}") == (str(runc), str(first / "runc"))


def test_there_is_no_place_before_the_first_directory(tmp_path: Path) -> None:
    first, second, _ = directories(tmp_path)
    runc = program(first)
    assert find(f"{first}:{second}") == (str(runc), "")


def test_without_runc_there_is_none(tmp_path: Path) -> None:
    first, _, _ = directories(tmp_path)
    assert find(f"{first}")[0] == ""
    assert find("") == ("", "")
    assert find(f"{tmp_path / 'none'}::") == ("", "")


def test_directories_that_are_missing_or_not_roots_alone_do_not_serve(tmp_path: Path) -> None:
    group, world, users, last = directories(tmp_path, "gwul")
    group.chmod(0o775)
    world.chmod(0o1777)
    os.chown(users, 12345, 0)
    runc = program(last)
    (tmp_path / "file").write_text("")
    unfit = (tmp_path / "none", tmp_path / "file", group, world, users)
    assert find(":".join(map(str, (*unfit, last)))) == (str(runc), "")
    users.chmod(0o755)
    os.chown(users, 0, 0)
    assert find(":".join(map(str, (*unfit, last)))) == (str(runc), str(users / "runc"))


def test_what_cannot_be_run_is_neither_runc_nor_a_place(tmp_path: Path) -> None:
    plain, directory, dangling, fifo, free, last = directories(tmp_path, "pdlfab")
    program(plain).chmod(0o644)
    (directory / "runc").mkdir()
    (dangling / "runc").symlink_to(tmp_path / "none")
    os.mkfifo(fifo / "runc")
    taken = f"{plain}:{directory}:{dangling}:{fifo}"
    assert find(taken) == ("", "")
    runc = program(last)
    assert find(f"{taken}:{last}") == (str(runc), "")
    assert find(f"{taken}:{free}:{last}") == (str(runc), str(free / "runc"))


def test_a_stand_in_is_not_taken_for_runc(tmp_path: Path) -> None:
    first, second, third = directories(tmp_path)
    (second / "runc").write_text(script("/y"))
    (second / "runc").chmod(0o755)
    runc = program(third)
    assert find(f"{second}:{third}") == (str(runc), str(second / "runc"))
    assert find(f"{first}:{second}:{third}") == (str(runc), str(first / "runc"))
    assert is_own(second / "runc")
    assert not is_own(runc)
    (first / "runc").symlink_to(second / "runc")
    assert not is_own(first / "runc")


def test_two_names_of_one_directory_are_no_two_places(tmp_path: Path) -> None:
    _, usr, _ = directories(tmp_path)
    (tmp_path / "sbin").symlink_to(usr)
    runc = program(usr)
    assert find(f"{tmp_path / 'sbin'}:{usr}") == (str(tmp_path / "sbin" / "runc"), "")
    assert find(f"{usr}:{tmp_path / 'sbin'}") == (str(runc), "")


def test_runc_may_be_a_link(tmp_path: Path) -> None:
    first, second, third = directories(tmp_path)
    (second / "runc").symlink_to(program(third, "runc-1.3"))
    found = find(f"{first}:{second}")
    assert found == (str(second / "runc"), str(first / "runc"))


# What it does with calls that are not about a restore.


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["state", ID],
        ["", "a b", "a'b", 'a"b', "a\nb", "\n", "*", "$HOME", "`id`", "-n", "--", "\\", "ä", ""],
        ["--root", OTHER, "exec", "--", ID[:12], "deadbeef", "0"],
    ],
)
def test_the_arguments_arrive_as_they_are(machine: Machine, arguments: list[str]) -> None:
    subprocess.run([machine.path, *arguments], check=True)
    assert machine.calls == [arguments]


@pytest.mark.parametrize("status", [0, 3, 137, 255])
def test_the_exit_status_arrives(machine: Machine, status: int) -> None:
    (machine.here / "status").write_text(str(status))
    assert machine.call("state") == status


def test_an_end_by_a_signal_arrives(machine: Machine) -> None:
    (machine.here / "script").write_text("kill -KILL $$\n")
    assert machine.call("state") == -signal.SIGKILL


def test_files_and_their_content_arrive(machine: Machine) -> None:
    (machine.here / "script").write_text("cat; cat <&7; echo error >&2; echo written >&8\n")
    (machine.here / "in").write_text("seven\n")
    shell = f"exec \"$@\" 7<'{machine.here}/in' 8>'{machine.here}/out'"
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *machine.command("state")],
        input=b"standard ",
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"standard seven\n", b"error\n")
    assert (machine.here / "out").read_text() == "written\n"


def test_the_environment_arrives(machine: Machine) -> None:
    (machine.here / "script").write_text("env -0\n")
    given = {"PATH": os.environ["PATH"], "A": "b c\nd='", "EMPTY": "", "word": "x", "busy": "1"}
    given |= {"order": "y", "NOTIFY_SOCKET": "@/s", "IFS": "x"}
    found = {}
    for file in (machine.path, machine.file):
        done = subprocess.run([file, "state"], env=given, capture_output=True, check=True)
        found[file] = dict(v.split("=", 1) for v in done.stdout.decode().split("\0") if v)
    changed = set(found[machine.path].items()) ^ set(found[machine.file].items())
    assert {name for name, _ in changed} <= {"word", "busy", "order", "SHLVL", "_"}


def test_the_process_is_the_same_and_gets_the_signals(machine: Machine) -> None:
    (machine.here / "script").write_text(
        f"trap 'echo got; exit 5' TERM; echo $$; touch {machine.here}/ready; "
        "while :; do sleep 0.01; done\n"
    )
    with subprocess.Popen(machine.command("state"), stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"got\n"
    assert process.returncode == 5


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_any_shell_will_do(machine: Machine, shell: str) -> None:
    program = shutil.which(shell)
    assert program
    start = [program]
    arguments = ["--", "a b", "", "\n", ID, "-x"]
    subprocess.run([*start, machine.path, *arguments], check=True)
    assert machine.calls == [arguments]
    machine.lay_out()
    create = machine.command("create", "--bundle", str(machine.bundle), "--pid-file", "/dev/null")
    machine.plan(refuse=3)
    assert subprocess.run([*start, *create], check=False).returncode == 3


def test_a_runc_that_is_replaced_meanwhile_is_used_from_then_on(machine: Machine) -> None:
    assert machine.call("state") == 0
    machine.write_runc("#!/bin/sh\nexit 44\n")
    assert machine.call("state") == 44
    machine.file.unlink()
    assert machine.call("state") in {126, 127}


@pytest.mark.parametrize("name", ["a'b c\"d", "-a$HOME;`id` {x} %s\\ä\n"])
def test_any_path_is_quoted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with machine_with_window(tmp_path / name) as machine:
        assert machine.call("state") == 0
        machine.lay_out()
        assert machine.create() == 0
        assert machine.call("start") == 0
    assert machine.verbs == ["state", "restore"]
    assert not machine.path.exists()


def test_a_call_costs_little_more_than_runc_alone(machine: Machine) -> None:
    machine.write_runc("#!/bin/sh\nexit 0\n")
    machine.orders.joinpath(OTHER).mkdir()
    taken: dict[Path, list[float]] = {machine.path: [], machine.file: []}
    for _ in range(50):
        for file, times in taken.items():
            begin = time.perf_counter()
            subprocess.run([file, "--root", "/run/runc", "state", ID], check=True)
            times.append(time.perf_counter() - begin)
    more = statistics.median(taken[machine.path]) - statistics.median(taken[machine.file])
    sys.stdout.write(f"a call through the stand-in takes {more * 1000:.2f} ms longer\n")
    assert more < AT_MOST


# How it goes away.


def test_a_call_to_one_that_was_left_behind_is_handed_on(machine: Machine) -> None:
    machine.orders.rmdir()
    assert machine.call("state") == 0
    assert machine.verbs == ["state"]


def test_it_serves_an_order_that_was_left_behind(machine: Machine) -> None:
    machine.lay_out()
    assert machine.call("state", OTHER) == 0
    assert machine.create() == 0
    assert machine.call("start") == 0
    assert machine.verbs == ["state", "restore"]


def test_a_file_among_the_orders_is_no_order(machine: Machine) -> None:
    (machine.orders / ID).write_text("")
    assert machine.call("state") == 0
    assert machine.verbs == ["state"]


def test_a_power_cut_leaves_it_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "runc", []

    def flush(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", flush)
    with in_place(str(path), "/bin/true", tmp_path / "run" / "orders"):
        assert flushed == [(path.stat().st_size, False)]


def test_no_call_fails_because_it_goes_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What other tests do without is looked at here.
    monkeypatch.setattr("drainer.runtime.stand_in.LEAVE_SECONDS", LEAVE_SECONDS)
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
    real = second / "runc"
    real.write_text("#!/bin/sh\nexit 0\n")
    real.chmod(0o755)
    # env looks for it by trying to run it, so that nothing is between the two. Not from here: what
    # this process forks would hold the new program open for writing.
    loop = f"until [ -e {tmp_path}/over ]; do env PATH={first}:{second} runc state || echo $?; done"
    callers = [
        subprocess.Popen(["/bin/sh", "-c", loop], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    try:
        for _ in range(5):
            with in_place(str(first / "runc"), str(real), tmp_path / "run" / "orders"):
                time.sleep(0.05)
    finally:
        (tmp_path / "over").touch()
    assert [caller.communicate()[0] for caller in callers] == [""] * 8


def test_it_stays_while_a_slow_shell_has_not_read_it(tmp_path: Path) -> None:
    path = tmp_path / "runc"
    head = "".join(script("/bin/true").splitlines(keepends=True)[:2])
    path.write_text(f"{head}read answer\n")
    path.chmod(0o755)
    shell = subprocess.Popen(["/bin/sh", path], stdin=subprocess.PIPE, text=True)
    with ThreadPoolExecutor(1) as pool:
        removed = pool.submit(remove, path)
        time.sleep(0.5)
        assert (removed.done(), path.exists()) == (False, True)
        shell.communicate("go on\n")
        assert removed.result(10)
    assert not path.exists()


def test_its_interpreter_has_no_environment_to_look_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "python"
    link.symlink_to(Path(sys.executable).resolve())
    monkeypatch.setattr(sys, "executable", str(link))
    text = script("/bin/true")
    assert str(link) not in text
    assert str(link.resolve()) in text


def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drainer.runtime.stand_in.READ_SECONDS", 0.2)
    path = tmp_path / "runc"
    path.write_text(script("/bin/true"))
    monkeypatch.setattr("drainer.runtime.stand_in._is_being_read", lambda _path: True)
    assert remove(path)
    assert not path.exists()


# The window.


def test_the_window_makes_a_program_and_takes_it_away(tmp_path: Path) -> None:
    path, orders = tmp_path / "runc", tmp_path / "run" / "orders"
    old = os.umask(0o077)
    try:
        with in_place(str(path), "/bin/true", orders):
            assert path.stat().st_mode & 0o7777 == 0o755
            assert orders.stat().st_mode & 0o7777 == 0o700
            assert subprocess.run([path], check=False).returncode == 0
    finally:
        os.umask(old)
    assert list(tmp_path.iterdir()) == []


def test_the_window_closes_on_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "runc"
    with (
        pytest.raises(KeyboardInterrupt),
        in_place(str(path), "/bin/true", tmp_path / "run" / "orders"),
    ):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_former_stand_in_is_replaced(machine: Machine) -> None:
    machine.path.write_text(script("/former/runc"))
    with in_place(str(machine.path), str(machine.file), machine.orders):
        assert "/former/runc" not in machine.path.read_text()
    assert not machine.path.exists()


@pytest.mark.parametrize("kind", ["file", "link", "directory", "dangling"])
def test_what_is_not_drainers_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "runc"
    if kind == "file":
        path.write_text("mine")
    elif kind == "link":
        (tmp_path / "own").write_text(script("/y"))
        path.symlink_to(tmp_path / "own")
    elif kind == "dangling":
        path.symlink_to(tmp_path / "none")
    else:
        path.mkdir()
    before = path.lstat()
    with (
        pytest.raises(StorageError, match="has come to be since"),
        in_place(str(path), "/bin/true", tmp_path / "run" / "orders"),
    ):
        pytest.fail("the window is open")
    assert path.lstat() == before
    assert not remove(path)
    assert path.lstat() == before


def test_what_replaced_the_stand_in_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runc"
    with in_place(str(path), "/bin/true", tmp_path / "run" / "orders"):
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_a_directory_that_is_gone_or_full_keeps_the_window_shut(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"cannot be put in place: .*none"),
        in_place(str(tmp_path / "none" / "runc"), "/bin/true", tmp_path / "run" / "orders"),
    ):
        pytest.fail("the window is open")


def test_orders_that_are_not_roots_keep_the_window_shut(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 12345, 0)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for orders in (tmp_path / "run" / "orders", tmp_path / "link" / "orders"):
        with (
            pytest.raises(StorageError),
            in_place(str(tmp_path / "runc"), "/bin/true", orders),
        ):
            pytest.fail("the window is open")
    assert not (tmp_path / "runc").exists()


# What a dead drainer leaves.


def test_a_sweep_removes_stand_ins_orders_and_half_written_files(tmp_path: Path) -> None:
    first, second, third = directories(tmp_path)
    for directory in (first, second):
        (directory / "runc").write_text(script("/y"))
    (second / ".drainer-runc-abc").write_text("#!/b")
    runc = program(third)
    orders = tmp_path / "orders"
    (orders / ID).mkdir(parents=True)
    (orders / ID / "order.json").write_text("{}")
    (orders / OTHER).mkdir()
    for name in ("taken.json", "status"):
        (orders / OTHER / name).write_text("1")
    sweep(f"{first}::{second}:{third}:{tmp_path / 'none'}", orders)
    sweep(f"{first}:{second}:{third}", orders)
    assert [p for d in (first, second, third) for p in d.iterdir()] == [runc]
    assert not any(orders.iterdir())


def test_a_sweep_leaves_a_restore_under_way_and_its_stand_in_alone(machine: Machine) -> None:
    machine.lay_out()
    assert machine.create() == 0
    (machine.orders / OTHER).mkdir()
    sweep(f"{machine.first}:{machine.second}", machine.orders)
    assert [p.name for p in machine.orders.iterdir()] == [ID]
    assert is_own(machine.path)
    assert machine.call("start") == 0
    sweep(f"{machine.first}:{machine.second}", machine.orders)
    assert not any(machine.orders.iterdir())
    assert not machine.path.exists()


def test_a_sweep_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "orders" / ID).symlink_to(tmp_path / "precious")
    sweep("", tmp_path / "orders")
    assert (tmp_path / "precious").exists()
    sweep("", tmp_path / "nowhere")
