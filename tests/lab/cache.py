"""The cache of disks: outside the checkout, safe for several runs at once.

An entry appears by a rename, so that it is whole or absent. Who uses an entry holds a shared lock
on its file; pruning takes only what nobody holds.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.say import say


def cache_dir() -> Path:
    """`$DRAINER_LAB_CACHE`, or `~/.cache/drainer-lab`; made if it is not there."""
    configured = os.environ.get("DRAINER_LAB_CACHE")
    path = Path(configured) if configured else Path.home() / ".cache" / "drainer-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the cache's lock of this name; wait for whoever has it."""
    with (cache_dir() / f"{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run holds {file.name}, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def hold(path: Path) -> int:
    """Keep a file or directory from being pruned until the returned descriptor is closed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def prune(paths: Iterable[Path]) -> None:
    """Remove the files and directories that nobody holds. A directory is held by its `disk.raw`."""
    for path in paths:
        held = path / "disk.raw" if (path / "disk.raw").exists() else path
        descriptor = os.open(held, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """Give a directory on the cache's file system that is gone afterwards, even after a kill.

    What a killed run left is removed by the next one.
    """
    parent = cache_dir() / "run"
    parent.mkdir(exist_ok=True)
    with exclusive("run"):
        prune(parent.iterdir())
        path = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
        descriptor = hold(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def flush(path: Path) -> None:
    """Bring a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
