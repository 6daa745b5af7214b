"""The real runtime: runc of this host."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from drainer.criu_options import LINES
from drainer.errors import EngineTimeoutError, RuntimeRefusedError, StorageError
from drainer.host.following import Reading, following
from drainer.host.images import part_before
from drainer.host.run import Runner, run, wait_for
from drainer.runtime import agent, cause, conntrack, quiet, stand_in
from drainer.runtime.abort import abort
from drainer.runtime.base import Order, Place
from drainer.runtime.guard import Guard
from drainer.runtime.pre_dumps import in_vain, pays
from drainer.text import printable

RESTORE_FLAGS = ("file-locks", "tcp-established", "ext-unix-sk")
FLAGS = (*RESTORE_FLAGS, "tcp-skip-in-flight")
"""Options of CRIU's that runc sets, to false unless it is told otherwise: no file can set them."""

NOT_STOPPED = "Timeout reached"
"""CRIU's words when it has not seen all processes stop within 10 s (criu cr-dump.c alarm_handler).
Nothing has changed by then, so it may be asked again: docs/findings.md."""
AGAIN_SECONDS = 20.0
"""What must be left to ask it once more."""
DELETE_SECONDS = 30.0
_LAST_WORDS = 2.0
"""Seconds from a restore's death until its status is noted, at most."""


class Runc:
    """`drainer.runtime.base.Runtime` with this host's runc."""

    def __init__(
        self,
        runc: str,
        stand_in_path: str,
        search_path: str,
        guard: Guard,
        orders: Path = stand_in.ORDERS,
        runner: Runner = run,
    ) -> None:
        """Know the real runc, where its stand-in goes (`HostFacts`), and the PATH of both."""
        self._guard = guard
        self._runc = runc
        self._stand_in = stand_in_path
        self._search_path = search_path
        self._orders = orders
        self._run = runner

    def checkpoint(
        self, container: str, root: str, place: Place, criu: Sequence[str], timeout: float
    ) -> Reading:
        """Checkpoint a paused container into `place`; leave it paused."""
        end = time.monotonic() + timeout
        past = _pre_dumps(place)
        parent = ["--parent-path", f"../{place.pre_dump(past).name}"] if past else []
        how = ["--leave-running", *parent]
        self._prepare(place, place.images, criu)
        try:
            reading = self._dump(container, root, place, place.images, how, criu, timeout)
        except RuntimeRefusedError as error:
            left = end - time.monotonic()
            if NOT_STOPPED not in error.message or left < AGAIN_SECONDS:
                raise
            _remove(place.images)
            self._prepare(place, place.images, criu)
            reading = self._dump(container, root, place, place.images, how, criu, left)
        try:
            place.unused.touch(mode=0o600)
        except OSError as error:
            raise _storage(place.path, error) from error
        return reading

    def pre_dump(
        self, container: str, root: str, place: Place, criu: Sequence[str], timeout: float
    ) -> list[Reading]:
        """Save most of a running container's memory into `place`, again as long as that pays.

        What was saved in vain is deleted again: the checkpoint needs as much without it.
        """
        end = time.monotonic() + timeout
        sizes: list[int] = []
        readings: list[Reading] = []
        while pays(sizes):
            images = place.pre_dump(len(sizes) + 1)
            parent = ["--parent-path", f"../{place.pre_dump(len(sizes)).name}"] if sizes else []
            left = end - time.monotonic()
            if sizes and left < timeout / 2:
                break
            self._prepare(place, images, criu)
            how = ["--pre-dump", *parent]
            readings.append(self._dump(container, root, place, images, how, criu, left))
            sizes.append(sum(file.stat().st_size for file in images.glob("pages-*.img")))
        if in_vain(part_before(place.pre_dump(len(sizes)))):
            # The last one first: the number of those before it tells what is there.
            for number in range(len(sizes), 0, -1):
                _remove(place.pre_dump(number))
            return []
        return readings

    def _prepare(self, place: Place, images: Path, criu: Sequence[str]) -> None:
        try:
            place.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (place.path, place.work):
                directory.mkdir(mode=0o700, exist_ok=True)
            images.mkdir(mode=0o700)
            lines = [LINES.get(line, line) for line in criu if line not in FLAGS]
            (place.work / agent.CRIU_CONFIGURATION).write_text("\n".join((*lines, "")))
        except OSError as error:
            raise _storage(place.path, error) from error

    def _dump(
        self,
        container: str,
        root: str,
        place: Place,
        images: Path,
        how: Sequence[str],
        criu: Sequence[str],
        timeout: float,
    ) -> Reading:
        """Let runc dump into `images`, which is empty, and end that if it takes too long."""
        command = [
            *(self._runc, "--root", root, "--log", str(place.work / "runc.log")),
            *("--log-format", "json", "checkpoint", *how),
            *("--image-path", str(images), "--work-path", str(place.work)),
            *(f"--{line}" for line in criu if line in FLAGS),
            container,
        ]
        # What runc does not set CRIU takes from this file (criu/config.c).
        configuration = str(place.work / agent.CRIU_CONFIGURATION)
        environment = {**os.environ, agent.CRIU_CONFIG_FILE: configuration}
        with following(images, holes="--pre-dump" in how) as reading:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                    start_new_session=True,
                    umask=0o077,
                )
            except OSError as error:
                problem = f"{self._runc} cannot be run: {error.strerror}"
                raise RuntimeRefusedError(problem) from error
            try:
                status = wait_for(process, timeout)
            except subprocess.TimeoutExpired as error:
                late = f"its checkpoint was not made within {timeout:.0f} s"
                if abort(process, images, Path(root, container), self._run):
                    raise RuntimeRefusedError(late) from error
                raise EngineTimeoutError(f"{late}, and runc cannot be ended") from error
            if status:
                why = printable(cause.of_checkpoint(place))
                raise RuntimeRefusedError(f"CRIU could not checkpoint it: {why}")
        return reading

    def thaw(self, container: str, root: str) -> None:
        """Let a container run on that a killed CRIU has left frozen.

        Docker does not know that it is, and so does not thaw it. runc sees for itself, and refuses
        for one that is not (runc libcontainer/container_linux.go Resume).
        """
        if self._runc and root:
            self._run([self._runc, "--root", root, "resume", container], DELETE_SECONDS)

    def sweep(self) -> None:
        """Remove what a drainer that died has left of stand-ins and orders."""
        stand_in.sweep(self._search_path, self._orders)
        quiet.end(self._orders)
        self._guard.renew()

    @contextmanager
    def window(self) -> Iterator[None]:
        """Let the stand-in take runc's calls while the block runs; afterwards nothing is quiet."""
        try:
            with stand_in.in_place(self._stand_in, self._runc, self._orders):
                yield
        finally:
            quiet.end(self._orders)
            self._guard.renew()

    def silence(self, container: str, pid: int) -> None:
        """Cut a paused container off its networks until `speak`."""
        quiet.begin(quiet.note(self._orders, container), pid)

    def speak(self, containers: Collection[str]) -> None:
        """Let containers that were restored as `quiet` reach their networks."""
        for container in containers:
            quiet.speak(quiet.note(self._orders, container))

    def lay_out(self, order: Order) -> None:
        """Have the container's next start restore it, and fail if the stand-in is not reached.

        The gate: where the container's state will be there is a directory already, and that alone
        makes `create` by runc itself fail (runc libcontainer/factory_linux.go Create). The stand-in
        removes it.
        """
        directory = self._orders / order.container
        gate = Path(order.root, order.container)
        content = {
            "gate": str(gate),
            "images": str(order.place.images),
            "work": str(order.place.work),
            "unused": str(order.place.unused),
            "seconds": order.seconds,
            "flags": [flag for flag in order.flags if flag in RESTORE_FLAGS],
            "macs": dict(order.macs),
            "connections": _if_there(order.place.connections),
            "quiet": str(quiet.note(self._orders, order.container)) if order.quiet else "",
            "drainer": quiet.owner(),
        }
        try:
            gate.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            gate.mkdir(mode=0o700, exist_ok=True)
            if not stand_in.under_way(directory):
                shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700)
            agent.put(directory / "order.json", json.dumps(content))
        except OSError as error:
            raise _storage(directory, error) from error

    def guard(
        self, place: Place, addresses: Collection[str], near: Collection[str]
    ) -> frozenset[str]:
        """Guard a silenced container's connections with other hosts."""
        try:
            found = conntrack.connections(addresses, near)
        except OSError as error:
            problem = f"its connections cannot be seen: {error.strerror or error}"
            raise RuntimeRefusedError(problem) from error
        if found:
            try:
                self._guard.begin(place, found)
            except OSError as error:
                raise _storage(place.path, error) from error
        return frozenset(connection.peer.address for connection in found)

    def end_guard(self, place: Place) -> None:
        """Let packets of these connections through again."""
        self._guard.end(place)

    def clear_guard(self) -> str:
        """Let all packets through."""
        return self._guard.clear()

    def lay_out_placeholder(self, container: str) -> None:
        """Have a container run nothing and only hold its addresses. Twice is harmless."""
        directory = self._orders / container
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            (directory / "placeholder").touch(mode=0o600)
        except OSError as error:
            raise _storage(directory, error) from error

    def forget_placeholder(self, container: str) -> None:
        """Forget one that has been removed."""
        shutil.rmtree(self._orders / container, ignore_errors=True)

    def is_under_way(self, container: str) -> bool:
        """Tell whether a restore of it has begun and not ended."""
        return stand_in.under_way(self._orders / container)

    def withdraw(self, container: str, root: str) -> bool:
        """Take back an order that was not obeyed; tell whether there was one."""
        directory = self._orders / container
        if not stand_in.withdraw(directory):
            return False
        shutil.rmtree(directory, ignore_errors=True)
        _open_gate(container, root)
        return True

    def is_unused(self, container: str, place: Place) -> bool:
        """Tell whether no restore from a checkpoint was ever let go, and none is under way."""
        try:
            place.unused.lstat()
        except OSError:
            return False
        return not self.is_under_way(container)

    def is_held(self, container: str) -> bool:
        """Tell whether a restore under way waits for the engine to ask for the start."""
        return stand_in.held(self._orders / container)

    def lost_connections(self, container: str) -> bool:
        """Look for what the agent has noted."""
        return (self._orders / container / "lost").exists()

    def take_back(self, container: str, root: str) -> bool:
        """Forget an order, obeyed or not, and end its restore; tell whether it was reached."""
        if self.withdraw(container, root):
            return False
        directory = self._orders / container
        reached = (directory / "taken.json").exists()
        if stand_in.under_way(directory):
            # It would go on beside a cold start, and nobody would know its pids any more.
            self._end(directory, root)
            _await(directory / "status")
        shutil.rmtree(directory, ignore_errors=True)
        if not reached:
            _open_gate(container, root)
        return reached

    def _end(self, directory: Path, root: str) -> None:
        """End a restore under way, and see that its container can be created again."""
        patience = agent.STOP_PATIENCE if stand_in.held(directory) else 0
        with suppress(OSError, ValueError):
            if agent.end(directory, patience) and self._runc and root:
                # Killed, runc has left its state of the container, and that forbids another.
                command = [self._runc, "--root", root, "delete", "--force", directory.name]
                self._run(command, DELETE_SECONDS)

    def restore_error(self, place: Place) -> str:
        """Read from CRIU's log why a restore failed."""
        return printable(cause.of_restore(place))

    def prune(self, directory: Path, kept: Collection[str]) -> None:
        """Delete all that is in a directory of checkpoints, but for what has one of these names."""
        with suppress(OSError):
            for old in directory.iterdir():
                if old.name not in kept:
                    shutil.rmtree(old, ignore_errors=True)
        self._guard.renew()

    def delete(self, place: Place) -> None:
        """Delete a checkpoint, complete or not; no error when there is none."""
        self._guard.end(place)
        if _remove(place.path):
            with suppress(OSError):
                place.path.parent.rmdir()


def _remove(directory: Path) -> bool:
    """Delete a directory; tell whether there was one."""
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _storage(directory, error) from error
    return True


def _pre_dumps(place: Place) -> int:
    """Return how many pre-dumps are in a place."""
    number = 0
    while place.pre_dump(number + 1).is_dir():
        number += 1
    return number


def _open_gate(container: str, root: str) -> None:
    """Let a container be started again, if the stand-in has not seen to that."""
    if root:
        with suppress(OSError):
            # Only if it is empty: what is not may be the state of a container.
            (Path(root) / container).rmdir()


def _if_there(file: Path) -> str:
    return str(file) if file.exists() else ""


def _await(file: Path) -> None:
    """Let the last words of a killed restore be said: they would bring its directory back."""
    end = time.monotonic() + _LAST_WORDS
    while not file.exists() and time.monotonic() < end:
        time.sleep(agent.POLL)


def _storage(path: Path, error: OSError) -> StorageError:
    where = printable(str(error.filename or path))
    return StorageError(
        f"{where}: {error.strerror}", "look whether the file system is full or read-only"
    )
