"""Between a manifest's frozen types and plain values: what may stand where."""

import dataclasses
import re
from typing import TYPE_CHECKING

from drainer.manifest import MANIFEST_VERSION, Entry, Manifest, State
from drainer.store.document import Document
from drainer.typed import Path, make, mistakes

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_ID = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")
_CHECKPOINT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_CRIU_OPTION = re.compile(r"[a-z][a-z-]*( [0-9]+[KMG]?)?", re.ASCII)
"""A switch or a size: nothing that names a file or a program, or is more than one line."""
_LATER = frozenset(
    {
        "reason",
        "by",
        "timeout",
        "on_restore_failure",
        "next_kernel",
        "dump_milliseconds",
        "group",
        "priority",
    }
)
"""Fields that earlier drainers of this version do not know: written only where they say something,
so that such a one can bring back what this one has drained."""
_STATES = frozenset(State)


class ShapeError(Exception):
    """What is wrong with the value at a path."""

    def __init__(self, path: Path, message: str) -> None:
        """Keep the path apart from the message."""
        super().__init__(message)
        self.path = path
        self.message = message


def decode(document: Document) -> Manifest:
    """Make the manifest that a document says. Raises `ShapeError`."""
    root = document.root
    if not isinstance(root, dict):
        raise ShapeError((), "not a mapping")
    if "version" not in root:
        raise ShapeError(("version",), "missing")
    for path, message in mistakes(root, Manifest):
        raise ShapeError(path, message)
    manifest = make(root, Manifest)
    check(manifest)
    return manifest


def check(manifest: Manifest) -> None:
    """Refuse what types cannot say, by raising `ShapeError`."""
    if manifest.version != MANIFEST_VERSION:
        raise ShapeError(("version",), f"not {MANIFEST_VERSION}")
    # Paths of checkpoints are made of this.
    _check_directory(manifest.engine.root_dir, ("engine", "root_dir"))
    seen: set[str] = set()
    for index, entry in enumerate(manifest.entries):
        _check_entry(entry, ("entries", index))
        if entry.id in seen:
            raise ShapeError(("entries", index, "id"), "given twice")
        seen.add(entry.id)


def _check_directory(text: str, path: Path) -> None:
    if not text.startswith("/") or ".." in text.split("/") or "\0" in text:
        raise ShapeError(path, "not an absolute path")


def _check_entry(entry: Entry, path: Path) -> None:
    if not _ID.fullmatch(entry.id):
        raise ShapeError((*path, "id"), "not a container's full id")
    for index, need in enumerate(entry.needs):
        if not _ID.fullmatch(need):
            raise ShapeError((*path, "needs", index), "not a container's full id")
    name = entry.checkpoint
    if name and (not _CHECKPOINT.fullmatch(name) or ".." in name):
        raise ShapeError((*path, "checkpoint"), "not a checkpoint's name")
    for key in entry.times:
        if key not in _STATES:
            raise ShapeError((*path, "times", key), "not a state")
    _check_restore(entry, path)


def _check_restore(entry: Entry, path: Path) -> None:
    """Refuse what would have a restore read, remove or run something else."""
    if not _DIGEST.fullmatch(entry.evidence):
        raise ShapeError((*path, "evidence"), "not a SHA-256")
    if entry.runtime_root:
        _check_directory(entry.runtime_root, (*path, "runtime_root"))
    for index, line in enumerate(entry.criu_options):
        if not _CRIU_OPTION.fullmatch(line):
            raise ShapeError((*path, "criu_options", index), "not an option of drainer's for CRIU")


def plain_fields(value: "DataclassInstance") -> dict[str, object]:
    """Return a frozen type's fields as mappings, lists, numbers and strings in valid UTF-8."""
    return {
        f.name: _plain(found)
        for f in dataclasses.fields(value)
        if (found := getattr(value, f.name)) != f.default or f.name not in _LATER
    }


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_fields(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value
