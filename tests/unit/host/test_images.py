import mmap
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from drainer.errors import CheckpointInvalidError
from drainer.host import images as module
from drainer.host.checksum import checksum
from drainer.host.criu_image import Message, read_messages
from drainer.host.images import checksums, part_before, same_images, verify
from tests.unit.host.images_builder import (
    CHILD,
    build,
    core,
    fields,
    frame,
    image,
    inventory,
    pagemap,
    present,
    pstree,
    resize,
)

PAGE = mmap.PAGESIZE


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return build(tmp_path / "checkpoint")


def refusal(directory: Path) -> str:
    with pytest.raises(CheckpointInvalidError) as caught:
        verify(directory)
    assert caught.value.hint
    assert caught.value.message.isprintable()
    return caught.value.message


def test_complete_images_are_accepted_with_their_size(images: Path) -> None:
    assert verify(images) == sum(f.stat().st_size for f in images.iterdir())


def never() -> bool:
    return False


def test_checksums_are_those_of_whole_files(images: Path) -> None:
    (images / "pages-1.img").write_bytes(os.urandom((3 << 20) + 1))
    assert checksums(images, never) == {f.name: checksum(f.read_bytes()) for f in images.iterdir()}


def test_a_checksum_that_time_does_not_allow_is_empty(images: Path) -> None:
    answers = iter([*[False] * 40, *[True] * 1000])
    found = checksums(images, lambda: next(answers))
    assert found.keys() == {f.name for f in images.iterdir()}
    assert "" in found.values()
    assert set(checksums(images, lambda: True).values()) == {""}


def test_no_checksum_is_made_of_what_is_no_plain_file(images: Path) -> None:
    (images / "pages-1.img").unlink()
    (images / "pages-1.img").symlink_to("/etc/passwd")
    with pytest.raises(CheckpointInvalidError, match=r"pages-1\.img: not a plain file"):
        checksums(images, never)
    with pytest.raises(CheckpointInvalidError, match=r"none: \.: no directory"):
        checksums(images / "none", never)


NEEDED = [
    "inventory.img",
    "pstree.img",
    "core-1.img",
    "core-7.img",
    "core-8.img",
    "core-9.img",
    "ids-1.img",
    "fs-9.img",
    "mm-1.img",
    "files.img",
    "pagemap-1.img",
    "pages-1.img",
    "pages-3.img",
]


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_image_is_named(images: Path, name: str) -> None:
    (images / name).unlink()
    assert f": {name}: missing" in refusal(images)


WHOLE = [
    "inventory.img",
    "core-1.img",
    "core-7.img",
    "core-8.img",
    "ids-1.img",
    "fs-1.img",
    "mm-9.img",
    "pagemap-1.img",
    "pagemap-shmem-77.img",
]


@pytest.mark.parametrize("name", WHOLE)
def test_an_image_cut_off_anywhere_is_named(images: Path, name: str) -> None:
    data = (images / name).read_bytes()
    for length in range(len(data)):
        (images / name).write_bytes(data[:length])
        message = refusal(images)
        # Where a page map ends early, its file of pages looks too long.
        assert f": {name}: " in message or ("pagemap" in name and ": pages-" in message)


@pytest.mark.parametrize(
    "name",
    [
        "files.img",
        "fdinfo-2.img",
        "pstree.img",
        "pipes-data.img",
        "sk-queues.img",
        "tcp-stream-a1.img",
    ],
)
def test_an_image_cut_off_within_a_message_or_its_data_is_named(images: Path, name: str) -> None:
    data = (images / name).read_bytes()
    for length in (0, 3, 7, 9, 12, len(data) - 1):
        (images / name).write_bytes(data[:length])
        assert f": {name}: " in refusal(images)


@pytest.mark.parametrize("name", [*WHOLE, "files.img", "seccomp.img", "irmap-cache.img"])
def test_an_image_of_zeros_is_named(images: Path, name: str) -> None:
    (images / name).write_bytes(bytes((images / name).stat().st_size))
    assert f": {name}: " in refusal(images)


@pytest.mark.parametrize("size", [0, 3 * PAGE - 1, 3 * PAGE + 1, 4 * PAGE])
def test_pages_of_another_size_are_refused(images: Path, size: int) -> None:
    resize(images / "pages-1.img", size)
    assert f": pages-1.img: has {size} bytes, and {3 * PAGE} by" in refusal(images)


def test_gigabytes_of_pages_are_not_read(images: Path) -> None:
    pages = 1 << 24
    (images / "pagemap-1.img").write_bytes(pagemap(1, present(pages)))
    resize(images / "pages-1.img", pages * PAGE)
    assert verify(images) > pages * PAGE


def test_page_counts_of_all_criu_versions(images: Path) -> None:
    (images / "pagemap-1.img").write_bytes(
        pagemap(
            1,
            fields((1, 0x1000), (2, 1)),
            fields((1, 0x2000), (2, 1), (3, 0)),
            fields((1, 0x3000), (2, 0), (4, 6), (5, 1)),
        )
    )
    verify(images)


@pytest.mark.parametrize("entry", [fields((1, 1), (2, 1), (3, 1)), fields((1, 1), (2, 1), (4, 1))])
def test_pages_that_are_elsewhere_are_refused(images: Path, entry: bytes) -> None:
    (images / "pagemap-1.img").write_bytes(pagemap(1, present(3), entry))
    assert "pagemap-1.img: some pages are not in this checkpoint" in refusal(images)


def test_two_page_maps_may_share_a_file_of_pages(images: Path) -> None:
    (images / f"pagemap-{CHILD}.img").write_bytes(pagemap(1, present(2)))
    resize(images / "pages-1.img", 5 * PAGE)
    verify(images)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("inventory.img", inventory(version=1)),
        ("inventory.img", inventory() + frame(fields((1, 2)))),
        ("inventory.img", image("core", frame(fields((1, 2))))),
        ("core-1.img", image("mm", frame(fields((1, 1))))),
        ("core-1.img", core(1) + frame(fields((1, 1)))),
        ("core-1.img", image("core", frame(b"\x08" + b"\xff" * 11))),
        ("core-1.img", image("core", frame(b"\x0b\x00"))),
        ("core-1.img", image("core", frame(b"\x1a\x7f\x00"))),
        ("core-1.img", image("core", frame(fields((3, 5))))),
        ("core-1.img", image("core", b"\xff\xff\xff\xff")),
        ("pstree.img", image("pstree")),
        ("pstree.img", image("pstree", frame(fields((2, 1))))),
        ("pagemap-1.img", image("pagemap")),
        ("pagemap-1.img", pagemap(1, fields((1, 5)))),
        ("pipes-data.img", image("pipes-data", frame(fields((1, 3), (2, 1 << 62))))),
    ],
)
def test_nonsense_is_refused_by_name(images: Path, name: str, data: bytes) -> None:
    (images / name).write_bytes(data)
    assert f": {name}: " in refusal(images)


def test_packed_thread_ids_are_understood(images: Path) -> None:
    (images / "pstree.img").write_bytes(
        image("pstree", frame(fields((1, 1), (5, b"\x01\x07"))), pstree(CHILD, (CHILD,)))
    )
    verify(images)
    (images / "core-7.img").unlink()
    assert "core-7.img: missing" in refusal(images)


def at(page: int, count: int, flags: int) -> bytes:
    return fields((1, page * PAGE), (2, count), (4, flags))


def pre_dump(images: Path, number: int, *entries: bytes, pages: int, parent: str = "") -> Path:
    directory = images.parent / f"pre-{number}"
    directory.mkdir()
    (directory / "pagemap-1.img").write_bytes(pagemap(1, *entries))
    (directory / "pages-1.img").write_bytes(bytes(pages * PAGE))
    if parent:
        (directory / "parent").symlink_to(parent)
    return directory


def test_what_a_pre_dump_leaves_to_those_before_it(chained: Path) -> None:
    assert part_before(chained.parent / "pre-2") == pytest.approx(7 / 11)
    assert part_before(chained.parent / "pre-1") is None
    (chained.parent / "pre-2" / "pagemap-1.img").write_bytes(pagemap(1, at(10, 6, 4)))
    assert part_before(chained.parent / "pre-2") == 0
    (chained.parent / "pre-2" / "pagemap-1.img").write_bytes(b"damaged")
    with pytest.raises(CheckpointInvalidError):
        part_before(chained.parent / "pre-2")


def test_each_page_map_is_read_once(chained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container is frozen meanwhile."""
    read: list[str] = []

    def counted(file: BinaryIO, size: int, kind: str) -> Iterator[Message]:
        read.append(kind)
        return read_messages(file, size, kind)

    monkeypatch.setattr(module, "read_messages", counted)
    verify(chained)
    assert read.count("pagemap") == len(list(chained.parent.glob("*/pagemap-*")))


@pytest.fixture
def chained(images: Path) -> Path:
    """Images of which most pages are in two pre-dumps."""
    pre_dump(images, 1, at(10, 5, 4), at(20, 5, 4), pages=10)
    pre_dump(images, 2, at(10, 2, 1), at(12, 4, 4), at(20, 5, 1), pages=4, parent="../pre-1")
    entries = (at(10, 6, 1), at(18, 2, 4), at(20, 4, 1), at(24, 1, 4))
    (images / "pagemap-1.img").write_bytes(pagemap(1, *entries))
    (images / "parent").symlink_to("../pre-2")
    return images


def test_pages_may_be_in_pre_dumps(chained: Path) -> None:
    directories = (chained, chained.parent / "pre-1", chained.parent / "pre-2")
    files = [f for d in directories for f in d.iterdir() if not f.is_symlink()]
    assert verify(chained) == sum(f.stat().st_size for f in files)
    names = checksums(chained, never)
    assert {n for n in names if n.endswith("pages-1.img")} == {
        *("pages-1.img", "../pre-1/pages-1.img", "../pre-2/pages-1.img")
    }
    assert len(names) == len(files)
    (chained.parent / "pre-1" / "pages-1.img").write_bytes(b"x" * 10 * PAGE)
    changed = {n for n, d in checksums(chained, never).items() if d != names[n]}
    assert changed == {"../pre-1/pages-1.img"}


def test_what_is_known_of_a_pre_dump_is_not_read_again(chained: Path) -> None:
    known = {"../pre-1/pages-1.img": "x", "../pre-2/pages-1.img": ""}
    found = checksums(chained, never, known)
    assert {n: found[n] for n in known} == known
    assert found["pages-1.img"].startswith("crc32-")


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("images", (at(10, 7, 1), at(30, 3, 4))),
        ("images", (at(9, 2, 1), at(30, 3, 4))),
        ("images", (at(16, 1, 1), at(30, 3, 4))),
        ("pre-2", (at(10, 2, 1), at(12, 4, 4), at(20, 6, 1))),
        ("pre-1", (at(10, 5, 4), at(20, 5, 4), at(40, 1, 1))),
    ],
)
def test_pages_that_no_pre_dump_has_are_refused(
    chained: Path, name: str, entries: tuple[bytes, ...]
) -> None:
    directory = chained.parent / name if name != "images" else chained
    (directory / "pagemap-1.img").write_bytes(pagemap(1, *entries))
    assert "pagemap-1.img: some pages are not in this checkpoint" in refusal(chained)


@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_pre_dump_is_refused(chained: Path, number: int) -> None:
    directory = chained.parent / f"pre-{number}"
    resize(directory / "pages-1.img", 3 * PAGE)
    assert "pages-1.img: has" in refusal(chained)
    shutil.rmtree(directory)
    assert f"../pre-{number}: no directory" in refusal(chained)
    directory.symlink_to(chained)
    assert f"../pre-{number}: no directory" in refusal(chained)


@pytest.mark.parametrize("target", ["/etc", "../images", "../pre-1/../pre-2", "pre-1", "../pre-10"])
def test_a_parent_is_a_pre_dump_beside_it(chained: Path, target: str) -> None:
    (chained / "parent").unlink()
    (chained / "parent").symlink_to(target)
    assert "parent: does not lead to a pre-dump" in refusal(chained)


def test_pre_dumps_have_an_end(chained: Path) -> None:
    (chained.parent / "pre-1" / "parent").symlink_to("../pre-2")
    assert "parent: leads to no end" in refusal(chained)


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_only_plain_files_are_accepted(images: Path, kind: str) -> None:
    odd = images / "parent\x1b"
    if kind == "link":
        odd.symlink_to("/etc/passwd")
    elif kind == "directory":
        odd.mkdir()
    else:
        os.mkfifo(odd)
    assert r": parent\x1b: not a plain file" in refusal(images)
    assert not same_images(images, images)


def test_a_missing_or_linked_directory_is_refused(images: Path, tmp_path: Path) -> None:
    assert "no directory" in refusal(tmp_path / "none")
    (tmp_path / "link").symlink_to(images)
    assert "no directory" in refusal(tmp_path / "link")
    (tmp_path / "empty").mkdir()
    assert "inventory.img: missing" in refusal(tmp_path / "empty")


@pytest.fixture
def copy(images: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(images, tmp_path / "copy"))


def test_a_copy_is_the_same(images: Path, copy: Path) -> None:
    assert same_images(images, copy)


@pytest.mark.parametrize("name", ["inventory.img", "pstree.img", "core-7.img"])
def test_another_identity_of_the_same_size_is_not_the_same(
    images: Path, copy: Path, name: str
) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert not same_images(images, copy)


def test_other_names_or_sizes_are_not_the_same(images: Path, copy: Path) -> None:
    (copy / "extra").write_text("")
    assert not same_images(images, copy)
    assert not same_images(copy, images)
    (copy / "extra").unlink()
    resize(copy / "pages-1.img", PAGE)
    assert not same_images(images, copy)


def test_what_is_no_checkpoint_is_never_the_same(images: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert not same_images(tmp_path / "one", tmp_path / "two")
    assert not same_images(images, tmp_path / "none")
    (tmp_path / "link").symlink_to(images)
    assert not same_images(images, tmp_path / "link")
