"""What drainer asks of the host beside Docker."""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Protocol

from drainer.evidence import FileNote
from drainer.model import Container, EngineFacts, HostFacts, ProcessFacts
from drainer.networks import Port
from drainer.storage import Places


class Host(Protocol):
    """The host's kernel, CRIU and systemd. Every method is safe to call from several threads."""

    def facts(self) -> HostFacts:
        """Describe kernel and CRIU. Never raises: what cannot be found out is left empty."""

    def own_addresses(self) -> frozenset[str]:
        """Return its IPv4 addresses. Never raises: without them all is unknown."""

    def tracked(self) -> frozenset[tuple[str, str]]:
        """Return which addresses are connected by TCP and IPv4, as containers see that.

        Pairs of a container's address and the other end's; there are others among them. Never
        raises: without an answer there are none.
        """

    def boot_id(self) -> str:
        """Return the kernel's id of this boot; empty when it cannot be read."""

    def processes(self, container: Container) -> ProcessFacts:
        """Look at a running container's processes. What vanished meanwhile is left out."""

    def kill_frozen(self, container: Container) -> bool:
        """Kill all processes of a paused container, so that none of them runs on before its end.

        Docker kills the first process only, and thaws the others, which run until the kernel has
        ended that one (moby daemon/kill.go). Returns False when its control group cannot be seen;
        then nothing was done. Raises `DrainerError` when it is not frozen; then neither.
        """

    def freeze(self, container: Container) -> bool:
        """Freeze again a container that Docker takes for paused and a killed CRIU has let run.

        CRIU thaws it while it holds its processes itself (criu seize.c freeze_processes); as long
        as it does, nothing is done. Tells whether it is frozen now. Never raises.
        """

    def lives(self, container: Container) -> bool:
        """Tell whether the first process of a container that Docker takes for running is there.

        In doubt it is.
        """

    def is_restored(self, container: Container) -> bool:
        """Tell whether a running container's first process was made by a CRIU restore.

        CRIU puts what it restores into a time namespace of its own (criu timens.c); what Docker
        starts cold shares the host's.
        """

    def verify_checkpoint(self, directory: str) -> int:
        """Check that CRIU images are complete and consistent; return their size in bytes.

        Raises `CheckpointInvalidError` naming the first file that is wrong.
        """

    def checksums(
        self,
        directory: str,
        stop: Callable[[], bool],
        known: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, str]:
        """Return the checksum of each of the CRIU images in `directory`, by name.

        Those of pre-dumps behind it have names as `../pre-1/NAME`. What is `known` is not read.

        It is empty for those that were not read to their end when `stop` began to answer yes.
        Raises `CheckpointInvalidError` naming the first file that cannot be read.
        """

    def read_ahead(self, directory: str, stop: Callable[[], bool]) -> None:
        """Find and keep the `checksums` of the CRIU images in `directory`, for this boot.

        Raises `DrainerError` when they cannot be read or kept.
        """

    def known_checksums(self, directory: str) -> dict[str, str]:
        """Return what `read_ahead` found of images that are still the same files. Never raises."""

    def end_reading_ahead(self) -> None:
        """Let nothing more be read ahead in this boot. Never raises."""

    def forget_reading_ahead(self) -> str:
        """Remove all that it kept; return where that was, empty if nothing was.

        Raises `OSError`.
        """

    def ahead_has_ended(self) -> bool:
        """Tell whether that was said."""

    def files_in_use(self, container: Container, limit: int) -> tuple[FileNote, ...]:
        """Note the plain files that a paused container's processes have open or mapped.

        They are those in volumes, bind mounts and the writable layer, at most `limit`. What is
        deleted, is on no disk of this host, or cannot be found on the host is left out.
        """

    def look(self, path: str) -> FileNote:
        """Look at one file as it is now. Never raises: what cannot be reached is missing."""

    def written_places(self, container: Container) -> tuple[str, ...]:
        """Return where on this host's disks a running container can write.

        They are its writable layer, where that is known, and its volumes and bind mounts. Left out
        is what is in memory or comes over a network, where a flush could hang.
        """

    def dump_error(self, container: str, since: float) -> str:
        """Read from CRIU's log why a checkpoint failed; empty if unknown.

        `since` is when it began, in seconds since the epoch: an older log tells of another.
        """

    def flush(self, directory: str) -> None:
        """Flush the file system that holds `directory`, or a file, to disk (syncfs).

        Raises `CheckpointInvalidError` when the disk did not take it.
        """

    def remove_restore_copy(self, directory: str) -> int:
        """Delete containerd's left-over temporary copies of the checkpoint in `directory`.

        containerd unpacks a checkpoint into `ctrd-checkpoint*` in its temporary directory and
        never deletes it (containerd services/tasks/local.go). Only a directory whose images equal
        those in `directory` is deleted. Returns the number deleted.
        """

    def shutting_down(self) -> str:
        """Name the kind of shutdown in progress, or return an empty string.

        One of `reboot`, `poweroff`, `halt`, `kexec`.
        """

    def port_obstacles(self, ports: Collection[Port]) -> dict[Port, str]:
        """Say of those of the ports that Docker could not bind now why."""

    def places(self, engine: EngineFacts, state: str) -> Places:
        """Look how much room there is for checkpoints; `state` is the state directory.

        Never raises: what cannot be found out is left unknown.
        """

    def notify(self, status: str, extend: float | None = None) -> None:
        """Show a line of progress as the unit's status, where systemd runs us.

        With `extend`, a unit's time limit that would strike within so many seconds is put off
        until then.
        """


def checkpoint_directory(engine: EngineFacts, container: str, checkpoint: str) -> str:
    """Return where Docker keeps a checkpoint's images (moby daemon/checkpoint.go)."""
    return f"{engine.root_dir}/containers/{container}/checkpoints/{checkpoint}"
