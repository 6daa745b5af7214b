import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from drainer.doctor.rootfs import archive, libraries
from drainer.errors import HostIncapableError
from drainer.host.run import MISSING, Result, Runner

DYNAMIC = """\
\tlinux-vdso.so.1 (0x00007ffc5d9d2000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f374c6fa000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f374c8fb000)
"""
MUSL = "\t/lib/ld-musl-x86_64.so.1 (0x7f0)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl (0x7f1)\n"


def ldd(result: Result) -> Runner:
    return lambda _arguments, _timeout: result


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Result(0, DYNAMIC), ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2")),
        (Result(0, MUSL), ("/lib/ld-musl-x86_64.so.1", "/lib/ld-musl")),
        (Result(1, "", "\tnot a dynamic executable\n"), ()),
        (Result(0, "\tstatically linked\n"), ()),
    ],
)
def test_the_libraries_are_those_that_ldd_names(result: Result, expected: tuple[str, ...]) -> None:
    assert libraries(Path("/bin/sh"), ldd(result)) == tuple(map(Path, expected))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Result(0, f"{DYNAMIC}\tlibtinfo.so.6 => not found\n"), "lacks libtinfo"),
        (Result(MISSING, "", "no ldd"), "cannot be examined"),
    ],
)
def test_a_program_without_its_libraries_is_told(result: Result, words: str) -> None:
    with pytest.raises(HostIncapableError, match=words) as caught:
        libraries(Path("/bin/sh"), ldd(result))
    assert "busybox-static" in caught.value.hint


def _names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return sorted(tar.getnames())


def test_a_static_busybox_is_enough(tmp_path: Path) -> None:
    (tmp_path / "busybox").write_text("static")
    (tmp_path / "busybox").chmod(0o755)
    data = archive(ldd(Result(1, "", "not a dynamic executable")), str(tmp_path))
    assert _names(data) == ["bin/sh", "bin/sleep"]


def test_a_host_without_a_shell(tmp_path: Path) -> None:
    with pytest.raises(HostIncapableError, match="no program `sh`"):
        archive(ldd(Result(0, DYNAMIC)), str(tmp_path))


def test_the_programs_of_this_machine_run_in_it(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "sleep"):
        (programs / name).symlink_to(Path("/bin", name).resolve())
    data = archive(search_path=str(programs))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(tmp_path / "root", filter="data")
    command: Sequence[str] = ("chroot", str(tmp_path / "root"), "/bin/sh", "-c")
    done = subprocess.run(
        [*command, "sleep 0 && echo $((1+1))"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "2\n"
