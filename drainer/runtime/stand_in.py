"""The stand-in for runc: where it goes, what it is, and that it goes away again.

containerd's shim looks runc up in its PATH at each call (go-runc command_linux.go), so a file of
that name in an earlier directory of the PATH takes the calls: nothing is mounted, configured or
restarted. It is a script of the shell's own commands, so that a call that is not about a pending
restore costs a shell's start and nothing more, and becomes the real runc by `exec`, with the same
arguments, files, signals and exit status.
"""

import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from drainer.errors import StorageError
from drainer.text import printable

ORDERS = Path("/run/drainer/restores")
"""A directory for each container whose restore is asked for; gone after a reboot, as /run is."""

NAME = "runc"
CALL = Path(__file__).with_name("call.py")

LEAVE_SECONDS = 2.0
"""How long the kernel may take to make a process a shell that is to read the stand-in."""
READ_POLL = 0.1
READ_SECONDS = 10.0
"""How long such a shell may take until it has read it and is runc."""

_FIRST_LINES = "#!/bin/sh\n# drainer stands in for runc while it restores containers.\n"
_TEMPORARY = ".drainer-runc-"

# A container's id is the only argument of hexadecimal digits alone that names a directory there.
# It never removes itself: a shell opens its script only some time after the kernel has, and where
# Docker starts many containers at once others would be at that point.
_SCRIPT = """\
for word; do
    case $word in
    *[!0-9a-f]* | "") ;;
    *) [ -d {orders}/"$word" ] && exec {python} -I -S {call} {orders}/"$word" {runc} "$@" ;;
    esac
done
exec {runc} "$@"
"""


def find(search_path: str) -> tuple[str, str]:
    """Return the runc that is found in `search_path`, and where a stand-in would come before it.

    Each is empty if there is none. A directory serves if programs of root's can be put there and
    run from there, nobody else can put anything there, and nothing of that name is there yet.
    """
    place = ""
    for directory in filter(None, search_path.split(":")):
        file = Path(directory, NAME)
        if is_own(file):
            place = place or str(file)
        elif os.access(file, os.X_OK) and file.is_file():
            runc = file.resolve()
            return str(file), "" if Path(place).parent.resolve() == runc.parent else place
        elif not place and not os.path.lexists(file) and _serves(Path(directory)):
            place = str(file)
    return "", place


def _serves(directory: Path) -> bool:
    try:
        found, system = directory.stat(), os.statvfs(directory)
    except OSError:
        return False
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    unfit = system.f_flag & (os.ST_RDONLY | os.ST_NOEXEC)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not others and not unfit


def is_own(file: Path) -> bool:
    """Tell whether a file is a stand-in of drainer's."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return regular and os.read(descriptor, len(_FIRST_LINES)) == _FIRST_LINES.encode()
    finally:
        os.close(descriptor)


def script(runc: str, orders: Path = ORDERS, call: Path = CALL) -> str:
    """Return the stand-in's text, to be put before the real `runc`.

    A virtual environment means nothing to `-I -S`, and its interpreter looks for it all the same:
    its link is followed here, once.
    """
    return _FIRST_LINES + _SCRIPT.format(
        orders=quote(str(orders)),
        python=quote(os.path.realpath(sys.executable)),
        call=quote(str(call)),
        runc=quote(runc),
    )


@contextmanager
def in_place(path: str, runc: str, orders: Path = ORDERS) -> Iterator[None]:
    """Let the stand-in take runc's calls while the block runs.

    Raises `StorageError` when it cannot be put there.
    """
    try:
        _make_orders(orders)
        _put(Path(path), script(runc, orders))
    except OSError as error:
        where = printable(str(error.filename or path))
        raise StorageError(
            f"the stand-in for runc cannot be put in place: {where}: {error.strerror}",
            "look whether the file system is full or read-only",
        ) from error
    try:
        yield
    finally:
        # A restore that is under way still has to be told from a start.
        if not any(map(under_way, _directories(orders))):
            remove(Path(path))
        with suppress(OSError):
            orders.rmdir()
            orders.parent.rmdir()


def _make_orders(orders: Path) -> None:
    orders.parent.mkdir(mode=0o700, exist_ok=True)
    orders.mkdir(mode=0o700, exist_ok=True)
    for directory in (orders.parent, orders):
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StorageError(
                f"{printable(str(directory))}: not a directory of root's", "remove it"
            )
        directory.chmod(0o700)


def _put(path: Path, text: str) -> None:
    """Put a new file in place at once, over nothing but a former stand-in."""
    if os.path.lexists(path) and not is_own(path):
        raise StorageError(
            f"{printable(str(path))} has come to be since the host was examined",
            "run `drainer plan` to see which runc is used now",
        )
    descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            os.fchmod(descriptor, 0o755)
            file.flush()
            # After a power cut an empty file of that name would be the host's runc.
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove(path: Path) -> bool:
    """Remove a stand-in; leave anything else alone. Tell whether there was one.

    First it is no program any more, so that nobody who looks for runc finds it (Go os/exec
    LookPath); it goes when those who had found it have read it. A shell opens it by its name only
    some time after the kernel has, which is seconds on a busy host.
    """
    if not is_own(path):
        return False
    with suppress(OSError):
        path.chmod(0o644)
        time.sleep(LEAVE_SECONDS)
        end = time.monotonic() + READ_SECONDS
        while _is_being_read(path) and time.monotonic() < end:
            time.sleep(READ_POLL)
        path.unlink()
        return True
    return False


def _is_being_read(path: Path) -> bool:
    """Tell whether there is a shell that runs, or is about to run, this very script."""
    wanted = os.fsencode(path)
    with suppress(OSError):
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if file.read_bytes().split(b"\0")[1:2] == [wanted]:
                    return True
    return False


def under_way(order: Path) -> bool:
    """Tell whether the restore that an order asked for has begun and not ended."""
    return (order / "taken.json").exists() and not (order / "status").exists()


def held(order: Path) -> bool:
    """Tell whether the restore that an order asked for waits for the engine to go on."""
    return under_way(order) and not (order / "started").exists()


def withdraw(order: Path) -> bool:
    """See that an order is not obeyed any more; tell whether there was one that was not yet.

    The agent takes an order by renaming this very file, so it is either obeyed or withdrawn.
    """
    try:
        (order / "order.json").unlink()
    except OSError:
        return False
    return True


def sweep(search_path: str, orders: Path = ORDERS) -> None:
    """Remove what a drainer that died has left of its stand-ins and orders.

    A restore that is still under way is left alone, and so is the stand-in with it.
    """
    for order in _directories(orders):
        if not under_way(order):
            gate = _gate(order)
            withdraw(order)
            with suppress(OSError):
                gate.rmdir()
            shutil.rmtree(order, ignore_errors=True)
    if not any(_directories(orders)):
        for directory in filter(None, search_path.split(":")):
            remove(Path(directory, NAME))
            for left in _temporary(Path(directory)):
                with suppress(OSError):
                    left.unlink()


def _gate(order: Path) -> Path:
    """Return what keeps an order's container from being started without the stand-in."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return Path(json.loads((order / "order.json").read_text())["gate"])
    return order / "gate"


def left(search_path: str, orders: Path = ORDERS) -> tuple[str, ...]:
    """Return the paths of stand-ins and orders that are in place now, in use or left behind."""
    files = (Path(directory, NAME) for directory in filter(None, search_path.split(":")))
    found = (*filter(is_own, files), *sorted(_directories(orders)))
    return tuple(dict.fromkeys(map(str, found)))


def _directories(orders: Path) -> tuple[Path, ...]:
    try:
        return tuple(p for p in orders.iterdir() if p.is_dir() and not p.is_symlink())
    except OSError:
        return ()


def _temporary(directory: Path) -> tuple[Path, ...]:
    return tuple(directory.glob(f"{_TEMPORARY}*"))
