"""Which files count, and which of them root may believe."""

import os
from pathlib import Path

import pytest

from drainer.config.files import LIMIT, find, read
from drainer.errors import ConfigInvalidError


def write(path: Path, text: str = "route: auto\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert find([tmp_path / "etc", tmp_path / "usr"]) == ()


def test_the_main_file_comes_first_and_drop_ins_by_name(tmp_path: Path) -> None:
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    wanted = [
        write(etc / "config.yaml"),
        write(usr / "config.d" / "10-vendor.yaml"),
        write(etc / "config.d" / "50-site.yaml"),
        write(usr / "config.d" / "90-late.yaml"),
    ]
    write(usr / "config.yaml")
    write(usr / "config.d" / "50-site.yaml")
    write(etc / "config.d" / "notes.txt")
    write(etc / "config.d" / ".hidden.yaml")
    assert find([etc, usr]) == tuple(wanted)


def test_a_link_to_null_leaves_a_name_out(tmp_path: Path) -> None:
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    write(usr / "config.d" / "10-vendor.yaml")
    (etc / "config.d").mkdir(parents=True)
    (etc / "config.d" / "10-vendor.yaml").symlink_to(os.devnull)
    assert find([etc, usr]) == ()


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_what_others_can_write_is_not_believed(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "config.yaml")
    path.chmod(mode)
    with pytest.raises(ConfigInvalidError, match="others than root can write it") as refused:
        read(path)
    assert refused.value.hint == f"chown root {path} && chmod go-w {path}"


def test_what_belongs_to_another_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "config.yaml")
    facts = path.stat()
    other = os.stat_result((*facts[:4], 4711, *facts[5:]))
    monkeypatch.setattr(os, "fstat", lambda _file: other)
    with pytest.raises(ConfigInvalidError, match="others than root"):
        read(path)


def test_anyone_may_read_what_is_root_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "config.yaml")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    facts = path.stat()
    own = os.stat_result((*facts[:4], 0, *facts[5:]))
    monkeypatch.setattr(os, "fstat", lambda _file: own)
    assert read(path) == "route: auto\n"


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(ConfigInvalidError, match="not a regular file"):
        read(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"x" * (LIMIT + 1), "larger than"), (b"route: \xff\n", "not UTF-8 at byte 7")],
)
def test_what_is_no_text_of_a_size_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigInvalidError, match=words):
        read(path)


def test_what_is_not_there_any_more_has_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalidError, match="cannot be read: No such file"):
        read(tmp_path / "gone.yaml")
