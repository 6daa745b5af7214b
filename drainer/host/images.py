"""Whether CRIU's images of a container are complete, told without restoring them.

To verify them, pages of memory are only counted, not read; a checksum reads all. What CRIU does to
the images at restore is the source of each check (criu criu/image-desc.c, criu/pagemap.c,
criu/pstree.c).
"""

import mmap
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from drainer.errors import CheckpointInvalidError
from drainer.host.checksum import Checksum
from drainer.host.criu_image import (
    MAGIC,
    ImageError,
    Message,
    check_common_magic,
    nested,
    number,
    numbers,
    read_messages,
)
from drainer.text import printable

_INVENTORY = "inventory.img"
_PSTREE = "pstree.img"

_RAW = re.compile(
    r"(?:pages|ifaddr|route6?|rule|ip6?tables|nftables|netns-ct|netns-exp|tmpfs|tmpfs-dev)"
    r"-[0-9]+(?:\.tar\.gz)?\.img"
)
"""Images without magic numbers (criu criu/image-desc.c: RAW_IMAGE_MAGIC)."""
_NAME = re.compile(r"([a-z0-9-]+?)(?:-shmem)?(?:-[0-9a-f]+)?\.img")

_PARENT_LINK = "parent"
_PRE_DUMP = re.compile(r"\.\./pre-[1-9]", re.ASCII)
"""Where it leads: to a directory beside this one (criu criu/image.c CR_PARENT_LINK)."""
_MOST_PRE_DUMPS = 9

_VERSION = 2
"""CRTOOLS_IMAGES_V1_1, the one with two magic numbers (criu criu/include/magic.h)."""
_DEAD = 2
"""`task_state` of a zombie (criu compel/include/uapi/task-state.h)."""
_PARENT = 1
_PRESENT = 4
"""Flags of a pagemap entry (criu criu/include/pagemap.h)."""

OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CHUNK = 1 << 20


class _WrongError(Exception):
    """A file that is wrong, and what is wrong with it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem


def verify(directory: Path) -> int:
    """Check that CRIU images are complete and consistent; return their size in bytes.

    Raises `CheckpointInvalidError` naming the first file that is wrong.
    """
    with _reported(directory), _opened(directory) as images, images.chain() as chain:
        images.check()
        return sum(sum(part.sizes.values()) for part in chain)


def checksums(
    directory: Path, stop: Callable[[], bool], known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the checksum of each file, or an empty string once `stop` says so.

    What is `known` is not read.

    Raises `CheckpointInvalidError` naming the first file that cannot be read.
    """
    with _reported(directory), _opened(directory) as images, images.chain() as chain:
        return {
            path: known[path] if path in known else part.checksum(name, stop)
            for path, (part, name) in _named(chain).items()
        }


def part_before(directory: Path) -> float | None:
    """Return the part of the memory that a pre-dump leaves to those before it; None without one.

    Raises `CheckpointInvalidError` naming the first file that is wrong.
    """
    with _reported(directory), _opened(directory) as images:
        if not images.parent:
            return None
        here = behind = 0
        for found in images.pagemaps().values():
            here += _pages(found.here)
            behind += _pages(found.behind)
        return behind / (here + behind) if behind else 0.0


def names(directory: Path) -> tuple[str, ...]:
    """Return what `checksums` calls the files. Raises `CheckpointInvalidError`."""
    with _reported(directory), _opened(directory) as images, images.chain() as chain:
        return tuple(_named(chain))


def _named(chain: "Sequence[_Images]") -> "dict[str, tuple[_Images, str]]":
    places = ("", *(f"{part.parent}/" for part in chain))
    parts = zip(places, chain, strict=False)
    return {f"{place}{name}": (part, name) for place, part in parts for name in part.sizes}


@contextmanager
def _reported(directory: Path) -> Iterator[None]:
    try:
        yield
    except _WrongError as error:
        raise CheckpointInvalidError(
            f"checkpoint {printable(directory.name)}:"
            f" {printable(error.name)}: {printable(error.problem)}",
            "it is never restored; delete it, or keep it to find out why",
        ) from error


def same_images(a: Path, b: Path) -> bool:
    """Tell whether two directories hold the same checkpoint. Never raises.

    They do if their files have the same names and sizes, and the inventory (with the id of CRIU's
    run), the process tree and every core image are equal byte for byte.
    """
    try:
        with _opened(a) as first, _opened(b) as second:
            names = [n for n in first.sizes if n in {_INVENTORY, _PSTREE} or n[:5] == "core-"]
            return (
                first.sizes == second.sizes
                and {_INVENTORY, _PSTREE} <= set(names)
                and all(first.equals(second, name) for name in names)
            )
    except _WrongError:
        return False


@contextmanager
def _opened(directory: Path) -> Iterator["_Images"]:
    try:
        fd = os.open(directory, OPEN | os.O_DIRECTORY)
    except OSError as error:
        raise _WrongError(".", f"no directory: {os.strerror(error.errno or 0)}") from error
    try:
        yield _Images(fd)
    finally:
        os.close(fd)


class _Images:
    """An open directory of images. Every method raises `_WrongError`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.sizes: dict[str, int] = {}
        self.parent = ""
        """The directory of the pre-dump that has the rest of the memory; empty without one."""
        name = "."
        try:
            for name in sorted(os.listdir(fd)):
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if name == _PARENT_LINK and stat.S_ISLNK(found.st_mode):
                    self.parent = os.readlink(name, dir_fd=fd)
                    if not _PRE_DUMP.fullmatch(self.parent):
                        raise _WrongError(name, "does not lead to a pre-dump")
                    continue
                if not stat.S_ISREG(found.st_mode):
                    raise _WrongError(name, "not a plain file")
                self.sizes[name] = found.st_size
        except OSError as error:
            raise _WrongError(name, f"not readable: {os.strerror(error.errno or 0)}") from error

    @contextmanager
    def chain(self) -> Iterator[list["_Images"]]:
        """Open the pre-dumps behind these images too, the newest first."""
        with ExitStack() as stack:
            found = [self]
            while found[-1].parent:
                name = found[-1].parent
                if len(found) > _MOST_PRE_DUMPS:
                    raise _WrongError(_PARENT_LINK, "leads to no end")
                try:
                    fd = os.open(name, OPEN | os.O_DIRECTORY, dir_fd=found[-1].fd)
                except OSError as error:
                    raise _WrongError(name, "no directory") from error
                stack.callback(os.close, fd)
                found.append(_Images(fd))
            yield found

    def check(self) -> None:
        with self.file(_INVENTORY) as file:
            versions = [number(m, 1) for m in self._messages(file, _INVENTORY, "inventory")]
            if versions != [_VERSION]:
                raise ImageError("not of the known version")
        with self.file(_PSTREE) as file:
            tree = [(number(m, 1), numbers(m, 5)) for m in self._messages(file, _PSTREE, "pstree")]
        for pid, threads in tree:
            self._check_process(pid, threads)
        with self.chain() as chain:
            here = self.pagemaps()
            for images, behind in zip(chain, (*chain[1:], None), strict=True):
                there = behind.pagemaps() if behind else {}
                images.check_pages(here, there)
                here = there
        for name in self.sizes:
            self._check_other(name)

    def checksum(self, name: str, stop: Callable[[], bool]) -> str:
        found = Checksum()
        with self.file(name) as file:
            while not stop():
                chunk = file.read(CHUNK)
                if not chunk:
                    return found.text()
                found.update(chunk)
        return ""

    def equals(self, other: "_Images", name: str) -> bool:
        """Compare the files of one name, byte for byte."""
        with self.file(name) as mine, other.file(name) as theirs:
            while True:
                chunk = mine.read(CHUNK)
                if chunk != theirs.read(CHUNK):
                    return False
                if not chunk:
                    return True

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        """Open a file and blame it for every `ImageError` and `OSError` in the block."""
        self._require(name)
        try:
            with os.fdopen(os.open(name, OPEN, dir_fd=self.fd), "rb") as file:
                yield file
        except OSError as error:
            raise _WrongError(name, f"not readable: {os.strerror(error.errno or 0)}") from error
        except ImageError as error:
            raise _WrongError(name, str(error)) from error

    def _messages(self, file: BinaryIO, name: str, kind: str) -> Iterator[Message]:
        return read_messages(file, self.sizes[name], kind)

    def _check_process(self, pid: int, threads: list[int]) -> None:
        if self._task_state(pid) == _DEAD:
            # A zombie has nothing else, and CRIU writes thread 0 for it.
            return
        for thread in threads:
            self._task_state(thread)
        for kind in ("ids", "fs", "mm", "pagemap"):
            self._require(f"{kind}-{pid}.img")
        self._require("files.img")

    def _require(self, name: str) -> None:
        if name not in self.sizes:
            raise _WrongError(name, "missing")

    def _task_state(self, thread: int) -> int:
        """Return the state in a core image; 0 in that of a thread, which has none."""
        name = f"core-{thread}.img"
        with self.file(name) as file:
            cores = list(self._messages(file, name, "core"))
            return number(nested(cores[0], 3), 1, 0)

    def check_pages(self, maps: "dict[str, _Pagemap]", parent: "dict[str, _Pagemap]") -> None:
        """Compare the size of each file of pages with what the page maps of these images say.

        What they say to be in the `parent` must be in its page map of the same name.
        """
        pages: Counter[int] = Counter()
        for name, pagemap in maps.items():
            pages[pagemap.pages_id] += _pages(pagemap.here)
            if pagemap.behind:
                there = parent[name].all if name in parent else []
                if not _covered(pagemap.behind, there):
                    raise _WrongError(name, "some pages are not in this checkpoint")
        for pages_id, count in pages.items():
            name = f"pages-{pages_id}.img"
            # CRIU makes no file for no pages.
            found = self.sizes.get(name, None if count else 0)
            if found is None:
                raise _WrongError(name, "missing")
            if found != count * mmap.PAGESIZE:
                wanted = count * mmap.PAGESIZE
                raise _WrongError(name, f"has {found} bytes, and {wanted} by its page maps")

    def pagemaps(self) -> "dict[str, _Pagemap]":
        """Read all page maps, by their names."""
        found = {}
        for name in self.sizes:
            if name.startswith("pagemap-"):
                with self.file(name) as file:
                    found[name] = _read_pagemap(self._messages(file, name, "pagemap"))
        return found

    def _check_other(self, name: str) -> None:
        match = _NAME.fullmatch(name)
        kind = match[1] if match else ""
        if kind in {"", "inventory", "pagemap", "core", "pstree"} or _RAW.fullmatch(name):
            return
        with self.file(name) as file:
            if kind not in MAGIC:
                check_common_magic(file)
                return
            for _ in self._messages(file, name, kind):
                pass


class _Pagemap(NamedTuple):
    """Which pages of a process a dump has: ranges of page numbers, begin and end."""

    pages_id: int
    """Of the file with the pages."""
    here: list[tuple[int, int]]
    behind: list[tuple[int, int]]
    """Those that an earlier dump has."""

    @property
    def all(self) -> list[tuple[int, int]]:
        return sorted(self.here + self.behind)


def _read_pagemap(messages: Iterator[Message]) -> _Pagemap:
    found = _Pagemap(number(next(messages), 1), [], [])
    for entry in messages:
        # As criu pagemap.c init_compat_pagemap_entry; `in_parent` came before the flags.
        default = _PARENT if number(entry, 3, 0) else _PRESENT
        flags = number(entry, 4, default)
        if not flags & (_PRESENT | _PARENT):
            raise ImageError("some pages are not in this checkpoint")
        begin = number(entry, 1) // mmap.PAGESIZE
        # Field 5 came with CRIU 4.2, for counts beyond 32 bits.
        end = begin + (number(entry, 5, 0) or number(entry, 2))
        (found.here if flags & _PRESENT else found.behind).append((begin, end))
    return found


def _pages(ranges: list[tuple[int, int]]) -> int:
    return sum(end - begin for begin, end in ranges)


def _covered(wanted: list[tuple[int, int]], there: list[tuple[int, int]]) -> bool:
    """Tell whether all of some ranges are within others, which are sorted."""
    at = 0
    for begin, end in sorted(wanted):
        reached = begin
        while at < len(there) and reached < end:
            if there[at][0] > reached:
                return False
            reached = max(reached, there[at][1])
            if reached <= end:
                at += 1
        if reached < end:
            return False
    return True
