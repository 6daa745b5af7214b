import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from drainer.errors import DrainerError, LockedError, NoPermissionError
from drainer.store.files import StateDirectory
from drainer.store.lock import lock

HOLDER = """
import os, sys, time
from pathlib import Path
from drainer.store.files import StateDirectory
from drainer.store.lock import lock
with lock(StateDirectory(Path(sys.argv[1]), uid=os.geteuid()), "drain"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_holder_is_named(directory: StateDirectory) -> None:
    with (
        lock(directory, "drain"),
        pytest.raises(LockedError, match=f"at work: drain, pid {os.getpid()}$"),
        lock(directory, "resume"),
    ):
        pass


def test_it_is_free_again_after_the_block_and_after_an_error(directory: StateDirectory) -> None:
    with pytest.raises(KeyError), lock(directory, "drain"):
        raise KeyError
    with lock(directory, "resume"):
        assert (directory.path / "lock").read_text() == f"resume, pid {os.getpid()}\n"


def test_waiting_ends_when_the_lock_is_free(directory: StateDirectory) -> None:
    held = threading.Event()

    def hold() -> None:
        with lock(directory, "drain"):
            held.set()
            time.sleep(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with lock(directory, "resume", wait=30):
        pass
    thread.join()


def test_waiting_has_an_end(directory: StateDirectory) -> None:
    start = time.monotonic()
    with lock(directory, "drain"), pytest.raises(LockedError), lock(directory, "x", wait=0.2):
        pass
    assert time.monotonic() - start >= 0.2


def test_a_killed_holder_leaves_nothing_behind(directory: StateDirectory) -> None:
    root = Path(__file__).parents[3]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory.path)], stdout=subprocess.PIPE, cwd=root
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"pid {holder.pid}"), lock(directory, "resume"):
            pass
        holder.kill()
    with lock(directory, "resume"):
        pass


def test_a_link_in_place_of_the_lock_is_refused(directory: StateDirectory, tmp_path: Path) -> None:
    (directory.path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(DrainerError, match="lock"), lock(directory, "drain"):
        pass
    assert not (tmp_path / "victim").exists()


def test_hostile_content_of_the_lock_file_is_escaped(directory: StateDirectory) -> None:
    with lock(directory, "drain"):
        (directory.path / "lock").write_bytes(b"\x1b[2J\xff")
        with pytest.raises(LockedError) as caught, lock(directory, "resume"):
            pass
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("kind", ["directory", "fifo", "hard link"])
def test_anything_but_a_plain_file_with_one_name_is_refused(
    directory: StateDirectory, tmp_path: Path, kind: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    place = directory.path / "lock"
    if kind == "directory":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.hardlink_to(victim)
    with pytest.raises(NoPermissionError) as caught, lock(directory, "drain"):
        pass
    assert caught.value.hint
    assert victim.read_text() == "untouched"
