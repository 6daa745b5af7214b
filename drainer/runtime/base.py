"""What drainer asks of the runtime."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from drainer.host.following import Reading

CHECKPOINTS = "checkpoints"
"""Below the state directory; in it a directory for each drain, in that one for each container."""

CONNECTIONS = "connections.json"
"""In such a place, while connections of its container to other hosts are guarded."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one checkpoint is: CRIU's images in one directory, its logs in another."""

    path: Path

    @property
    def images(self) -> Path:
        """The images, and what runc keeps with them."""
        return self.path / "images"

    def pre_dump(self, number: int) -> Path:
        """Return where something was saved before the container was frozen, at first number 1."""
        return self.path / f"pre-{number}"

    @property
    def work(self) -> Path:
        """The logs of runc and CRIU."""
        return self.path / "work"

    @property
    def connections(self) -> Path:
        """See `CONNECTIONS`."""
        return self.path / CONNECTIONS

    @property
    def unused(self) -> Path:
        """A file that is there until a restore from it is let go."""
        return self.path / "unused"


@dataclass(frozen=True, slots=True)
class Order:
    """One restore that is asked for."""

    container: str
    """The container's full id."""
    root: str
    """runc's `--root` for it."""
    place: Place
    seconds: float
    """How long each of its steps may take."""
    flags: Sequence[str] = ()
    """Options of `runc restore`, without dashes."""
    macs: Mapping[str, str] = field(default_factory=dict)
    """The hardware address that it had, by IPv4 address."""
    quiet: bool = False
    """Whether it is to be cut off its networks until `Runtime.speak`."""


class Runtime(Protocol):
    """runc, and the stand-in that turns an engine's start into a restore.

    Every method is safe to call from several threads at once.
    """

    def checkpoint(
        self, container: str, root: str, place: Place, criu: Sequence[str], timeout: float
    ) -> Reading:
        """Checkpoint a paused container into `place`; leave it paused.

        There must be nothing in that place but a pre-dump of the container. Returns what was read
        of the images meanwhile. `timeout` is in seconds; what takes longer is ended, which takes as
        long again as `drainer.runtime.abort` says. Raises `RuntimeRefusedError` with CRIU's reason,
        or because it took longer; `EngineTimeoutError` when it could not be ended and goes on.
        """

    def pre_dump(
        self, container: str, root: str, place: Place, criu: Sequence[str], timeout: float
    ) -> Sequence[Reading]:
        """Save most of a running container's memory into `place`, which must not exist.

        It runs on. A checkpoint into the same place needs only what has changed since. Returns what
        was read of each `Place.pre_dump`, from the first on. `timeout` is in seconds, for all of
        it. Where it was in vain, as nearly all changes all the time, nothing is returned and no
        image is left. Raises as `checkpoint`; the place may hold something then.
        """

    def thaw(self, container: str, root: str) -> None:
        """Let a container run on that a killed CRIU has left frozen. Never raises.

        One that is not frozen is left as it is.
        """

    def sweep(self) -> None:
        """Remove what a drainer that died has left of stand-ins and orders.

        A restore that is still under way is left alone. What is to be guarded is. Never raises.
        """

    def window(self) -> AbstractContextManager[None]:
        """Let the stand-in take runc's calls while the block runs; afterwards nothing is quiet.

        Raises `StorageError` when it cannot be put in place.
        """

    def lay_out(self, order: Order) -> None:
        """Have the container's next start restore it, and fail if the stand-in is not reached.

        Raises `StorageError`.
        """

    def silence(self, container: str, pid: int) -> None:
        """Cut a paused container, with this first process, off its networks until `speak`.

        Never raises.
        """

    def speak(self, containers: Collection[str]) -> None:
        """Let containers reach their networks that were cut off them. Never raises."""

    def guard(
        self, place: Place, addresses: Collection[str], near: Collection[str]
    ) -> frozenset[str]:
        """Guard the connections of a silenced container with other hosts, also after a reboot.

        `addresses` are its own; those to addresses that are `near` are left alone. Returns the
        addresses of the hosts that it has some with. Ends in `end_guard`, and when the checkpoint
        is deleted. Raises `StorageError`, and `RuntimeRefusedError` where the kernel or iptables
        refuses, or there are too many.
        """

    def end_guard(self, place: Place) -> None:
        """Let packets of these connections through again. Never raises."""

    def clear_guard(self) -> str:
        """Let all packets through; return the file that was removed for it, empty if none was.

        Raises `OSError`.
        """

    def lay_out_placeholder(self, container: str) -> None:
        """Have a container run nothing and only hold its addresses. Twice is harmless.

        Raises `StorageError`.
        """

    def forget_placeholder(self, container: str) -> None:
        """Forget one that has been removed. Never raises."""

    def is_under_way(self, container: str) -> bool:
        """Tell whether a restore of it has begun and not ended."""

    def withdraw(self, container: str, root: str) -> bool:
        """Take back an order that was not obeyed; tell whether there was one. Never raises.

        Then that restore was not begun, and will not be.
        """

    def is_unused(self, container: str, place: Place) -> bool:
        """Tell whether no restore from a checkpoint was ever let go, and none is under way.

        Then nothing of it has run, also if the power was cut meanwhile. Never raises.
        """

    def is_held(self, container: str) -> bool:
        """Tell whether a restore under way waits for the engine to ask for the start."""

    def lost_connections(self, container: str) -> bool:
        """Tell whether a restore could not put all of its connections back. Never raises.

        Only until its order is taken back.
        """

    def take_back(self, container: str, root: str) -> bool:
        """Forget an order, obeyed or not; tell whether the stand-in was reached. Never raises.

        A restore that is still under way is ended.
        """

    def restore_error(self, place: Place) -> str:
        """Read from CRIU's log why a restore failed; empty if unknown."""

    def prune(self, directory: Path, kept: Collection[str]) -> None:
        """Delete all that is in a directory of checkpoints, but for what has one of these names.

        What cannot be deleted is left for the next time.
        """

    def delete(self, place: Place) -> None:
        """Delete a checkpoint, complete or not; no error when there is none.

        Raises `StorageError`.
        """
