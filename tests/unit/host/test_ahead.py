"""What was read before a resume need not be read again, as long as it is the same."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drainer.host import ahead


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for directory in ("pre-1", "images"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "pages-1.img").write_text(directory)
    return tmp_path / "images"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "ahead"


FOUND = {"pages-1.img": "a", "../pre-1/pages-1.img": "b"}


def test_checksums_are_kept(images: Path, place: Path) -> None:
    assert ahead.known(images, place) == {}
    ahead.read(images, FOUND, lambda: {**FOUND, "core-1.img": ""}, place)
    assert ahead.known(images, place) == FOUND
    assert ahead.known(images.parent, place) == {}
    assert place.stat().st_mode & 0o777 == 0o700


def write(file: Path) -> None:
    file.write_text("IMAGES")


def replace(file: Path) -> None:
    new = file.with_name("new")
    new.write_text("images")
    found = file.stat()
    os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))
    new.replace(file)


def link(file: Path) -> None:
    os.link(file, file.with_name("kept"))
    file.unlink()
    file.symlink_to("kept")


@pytest.mark.parametrize("change", [write, replace, link, Path.unlink])
def test_not_those_of_files_that_are_others_now(
    images: Path, place: Path, change: Callable[[Path], None]
) -> None:
    ahead.read(images, FOUND, lambda: FOUND, place)
    change(images / "pages-1.img")
    assert ahead.known(images, place) == {"../pre-1/pages-1.img": "b"}


def test_not_those_of_files_that_were_changed_as_they_were_read(images: Path, place: Path) -> None:
    def find() -> dict[str, str]:
        write(images / "pages-1.img")
        (images / "new.img").write_text("new")
        return {**FOUND, "new.img": "c"}

    ahead.read(images, FOUND, find, place)
    assert ahead.known(images, place) == {"../pre-1/pages-1.img": "b"}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pages-1.img": 1}', '{"pages-1.img": []}'])
def test_notes_that_make_no_sense_are_none(images: Path, place: Path, content: str) -> None:
    ahead.read(images, FOUND, lambda: FOUND, place)
    (note,) = place.iterdir()
    note.write_text(content)
    assert ahead.known(images, place) == {}


def test_a_resume_ends_it(place: Path) -> None:
    assert not ahead.ended(place)
    ahead.end(place)
    ahead.end(place)
    assert ahead.ended(place)


def test_where_nothing_can_be_kept_nothing_is(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ahead.end(tmp_path / "file")
    assert not ahead.ended(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        ahead.read(images, FOUND, lambda: FOUND, tmp_path / "file")
    assert ahead.known(images, tmp_path / "file") == {}


def test_all_is_forgotten(images: Path, place: Path) -> None:
    assert ahead.forget(place) == ""
    ahead.read(images, FOUND, lambda: FOUND, place)
    ahead.end(place)
    assert ahead.forget(place) == str(place)
    assert not place.exists()
    assert images.exists()
