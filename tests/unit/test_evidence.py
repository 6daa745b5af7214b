import pytest

from drainer.evidence import (
    FILES_LIMIT,
    PATHS_LIMIT,
    FileNote,
    bounded,
    change_sentence,
    changed,
    different_image,
    is_below,
    places,
)
from drainer.model import Container, Mount

NOTED = FileNote("/v/f", inode=7, size=10, mtime=1_000_000_001)


@pytest.mark.parametrize(
    ("noted", "found", "expected"),
    [
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}, ""),
        ({"a": "1", "b": "2"}, {"a": "1"}, "b: missing"),
        ({"a": "1"}, {"a": "1", "b": "2"}, "b: it was not there at the drain"),
        ({"a": "1", "b": "2"}, {"a": "3", "b": "3"}, "a: its content is not that of the drain"),
        ({"a": "", "b": "2"}, {"a": "3", "b": "2"}, ""),
        ({"a": "crc:1"}, {"a": "crc:1"}, ""),
        ({"a": "crc:1"}, {"a": "crc:2"}, "a: its content is not that of the drain"),
        ({"a": "crc:1", "b": "2"}, {"a": "1", "b": "crc:2"}, ""),
        ({"a": "", "b": "2"}, {"b": "2"}, "a: missing"),
        ({"\n\x1b": "1"}, {}, "\\n\\x1b: missing"),
    ],
)
def test_the_first_image_that_differs_is_named(
    noted: dict[str, str], found: dict[str, str], expected: str
) -> None:
    said = different_image(noted, found)
    assert said.startswith(expected)
    assert bool(said) == bool(expected)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOTED, ""),
        (FileNote("/v/f"), "it is no longer there"),
        (FileNote("/v/f", 8, 10, 1_000_000_001), "it was replaced"),
        (FileNote("/v/f", 7, -1), "it was replaced"),
        (FileNote("/v/f", 7, 11, 1_000_000_002), "it had 10 bytes and has 11"),
        (FileNote("/v/f", 7, 10, 1_000_000_002), "it was written to"),
        (FileNote("/v/f", 7, 10, 1_000_000_000), "it was written to"),
    ],
)
def test_what_became_of_a_file(now: FileNote, expected: str) -> None:
    assert changed([NOTED], lambda _path: now) == ({"/v/f": expected} if expected else {})


def test_a_file_of_the_image_must_stay_the_image_s() -> None:
    missing = FileNote("/layer/lib.so")
    assert changed([missing], lambda _path: missing) == {}
    put_there = FileNote("/layer/lib.so", 9, -1)
    assert changed([missing], lambda _path: put_there) == {
        "/layer/lib.so": "it was put in place of the image's own"
    }


def test_only_so_many_files_are_noted_and_only_so_long_paths() -> None:
    few = [FileNote(f"/{n}") for n in range(FILES_LIMIT)]
    assert bounded(few) == tuple(few)
    assert bounded([*few, FileNote("/more")]) == tuple(few)
    long = [FileNote("/" + "x" * (PATHS_LIMIT // 4)) for _ in range(5)]
    assert bounded(long) == tuple(long[:3])


def test_hostile_names_are_escaped_and_long_ones_cut() -> None:
    said = change_sentence("/v/\x1b[31m\n\udcff" + "x" * 5000, "it was replaced")
    assert said.isprintable()
    assert "/v/\\x1b[31m\\n\\udcff" in said
    assert said.endswith("…: it was replaced")


@pytest.mark.parametrize(
    ("path", "place", "expected"),
    [
        ("/v/data/f", "/v/data", True),
        ("/v/data/f", "/v/data/", True),
        ("/v/data", "/v/data", True),
        ("/v/database", "/v/data", False),
        ("/v", "/", True),
        ("/", "/v", False),
    ],
)
def test_below(path: str, place: str, *, expected: bool) -> None:
    assert is_below(path, place) == expected


def test_places_are_volumes_and_bind_mounts_once() -> None:
    mounts = (
        Mount("volume", "/v", "/a"),
        Mount("bind", "/b", "/b"),
        Mount("bind", "/b", "/c"),
        Mount("bind", "/ro", "/ro", writable=False),
        Mount("tmpfs", "", "/t"),
        Mount("npipe", "/n", "/n"),
    )
    assert places(Container("a", "a", mounts=mounts)) == ("/v", "/b")
