import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from drainer import netlink
from drainer.runtime import placeholder
from drainer.runtime.stand_in import CALL

MAY_UNSHARE = not subprocess.run(
    ["unshare", "--net", "true"], check=False, capture_output=True
).returncode
needs_root = pytest.mark.skipif(not MAY_UNSHARE, reason="needs a network namespace of its own")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    placeholder.stop(tmp_path)
    with suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@needs_root
def test_it_is_a_sleeping_process_in_a_network_of_its_own(directory: Path) -> None:
    assert placeholder.create(directory, directory / "init.pid") == 0
    pid = int((directory / "init.pid").read_text())
    assert placeholder.process(directory) == pid
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0infinity\0"
    assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    assert {Path(f"/proc/{pid}/fd/{n}").readlink() for n in range(3)} == {Path("/dev/null")}
    assert os.getsid(pid) == pid

    assert placeholder.stop(directory) == 0
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert placeholder.process(directory) == 0
    assert placeholder.stop(directory) == 0


@needs_root
def test_it_needs_the_standard_library_alone(directory: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.append(sys.argv[1]);"
        "from drainer.runtime import link, placeholder; d = Path(sys.argv[2]);"
        "status = placeholder.create(d, d / 'init.pid'); link.take_down(placeholder.process(d));"
        "sys.exit(status)"
    )
    package = Path(placeholder.__file__).parents[2]
    command = [sys.executable, "-I", "-S", "-c", code, str(package), str(directory)]
    # Its output must not stay open, or this would wait for its end.
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert placeholder.process(directory)


@needs_root
def test_the_stand_in_plays_it(directory: Path) -> None:
    (directory / "placeholder").touch()
    command = [sys.executable, "-I", "-S", str(CALL), str(directory), "/bin/false"]
    for words in (["create", "--pid-file", str(directory / "init.pid")], ["start"]):
        subprocess.run([*command, *words], check=True, capture_output=True, timeout=30)
    assert placeholder.process(directory) == int((directory / "init.pid").read_text())


def test_what_cannot_be_done_is_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise PermissionError(1, "unshare: Operation not permitted")

    monkeypatch.setattr(netlink, "leave", refuse)
    assert placeholder.create(directory, directory / "init.pid") == 1
    assert "unshare: Operation not permitted" in capfd.readouterr().err
    assert not (directory / "init.pid").exists()
    assert placeholder.process(directory) == 0


@pytest.mark.parametrize("text", ["", "1", "x y", f"{os.getpid()} 1", "999999999 1"])
def test_no_other_process_is_ended(directory: Path, text: str) -> None:
    (directory / placeholder.PROCESS).write_text(text)
    assert placeholder.process(directory) == 0
    assert placeholder.stop(directory) == 0
    (directory / placeholder.PROCESS).unlink()
    assert placeholder.stop(directory) == 0
