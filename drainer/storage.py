"""Where checkpoints are written, and how much fits there, as frozen types."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system on which a checkpoint or a copy of one is written."""

    id: str = ""
    """Equal for places on the same file system (`major:minor`); empty when unknown."""
    path: str = ""
    """The place in it, as its writer sees it."""
    free: int | None = None
    """Bytes that root may still write; None when it is unknown, or when only memory limits it."""
    inodes: int | None = None
    """How many files can still be made; None when unknown, or when there is no fixed number."""
    in_memory: bool = False
    """Whether what is written there takes memory."""


@dataclass(frozen=True, slots=True)
class Places:
    """Every place that a checkpoint takes room in."""

    state: FileSystem = FileSystem()
    """The state directory: the manifest, and the runtime route's checkpoints."""
    docker: FileSystem = FileSystem()
    """Docker's root: the engine route's checkpoints."""
    temporary: FileSystem = FileSystem()
    """containerd's temporary directory: a copy during a dump or restore on the engine route."""
    content: FileSystem = FileSystem()
    """containerd's content store: another such copy."""
    memory: int | None = None
    """Bytes of memory that can be used without swapping; None when unknown."""


NOT_KNOWN = Places()
"""Where nothing is known of any place, so that none limits anything."""
