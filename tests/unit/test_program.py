import sys
from pathlib import Path

import pytest

from drainer.errors import ConfigInvalidError
from drainer.program import REFUSED, check_program, own_program


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "drainer"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_of_roots_is_accepted(program: Path) -> None:
    check_program(program, refused=())
    check_program(Path("/usr/bin/env"))


@pytest.mark.parametrize("place", ["/home", "/root", "/tmp", "/run"])
def test_places_that_do_not_last_are_refused(place: str) -> None:
    assert Path(place) in REFUSED


def test_a_program_below_a_refused_place_is_refused(program: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalidError, match="not there at every boot") as caught:
        check_program(program, refused=(tmp_path,))
    assert "README" in caught.value.hint


def test_a_link_does_not_hide_a_refused_place(program: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "refused").mkdir()
    hidden = program.rename(tmp_path / "refused" / "drainer")
    outside.symlink_to(hidden)
    with pytest.raises(ConfigInvalidError, match="not there at every boot"):
        check_program(outside, refused=(tmp_path / "refused",))


def test_the_interpreter_counts_too(program: Path, tmp_path: Path) -> None:
    interpreter = tmp_path / "home" / "python"
    interpreter.parent.mkdir()
    interpreter.symlink_to(sys.executable)
    program.write_text(f"#!{interpreter} -I\n")
    with pytest.raises(ConfigInvalidError, match="not there at every boot"):
        check_program(program, refused=(tmp_path / "home",))


@pytest.mark.parametrize("mode", [0o644, 0o777])
def test_not_executable_or_writable_by_all_is_refused(program: Path, mode: int) -> None:
    program.chmod(mode)
    with pytest.raises(ConfigInvalidError):
        check_program(program, refused=())


def test_a_missing_program_a_directory_and_an_odd_name_are_refused(tmp_path: Path) -> None:
    odd = tmp_path / "a b%n"
    odd.write_text("#!/bin/sh\n")
    odd.chmod(0o755)
    for path in (tmp_path / "missing", tmp_path, odd):
        with pytest.raises(ConfigInvalidError):
            check_program(path, refused=())


def test_memory_does_not_last(program: Path) -> None:
    copy = Path("/dev/shm/drainer-test-program")
    copy.write_bytes(program.read_bytes())
    copy.chmod(0o755)
    try:
        with pytest.raises(ConfigInvalidError, match="in memory"):
            check_program(copy, refused=())
    finally:
        copy.unlink()


def test_our_own_program_has_an_absolute_path() -> None:
    assert own_program().is_absolute()
