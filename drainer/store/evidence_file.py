"""The evidence of each checkpoint, in a file of its own, sealed by a digest in the manifest.

It is too large for the manifest, which is written anew at every change of any container.
"""

import hashlib
import json
import re
from collections.abc import Collection
from contextlib import suppress

from drainer.errors import CheckpointInvalidError, DrainerError, StorageError
from drainer.evidence import Evidence, FileNote
from drainer.store.files import StateDirectory

LIMIT = 64 * 1024 * 1024
"""Bytes that such a file may have."""

_NAME = re.compile(
    r"evidence-(?P<container>[0-9a-f]{64})\.json|(?P<half>\.evidence-[0-9a-f]{64}\.json\.new)"
)


def write(directory: StateDirectory, container: str, evidence: Evidence) -> str:
    """Keep the evidence of a container's checkpoint, durably; return the digest that seals it.

    Raises `DrainerError` when it cannot be written.
    """
    files = [[note.path, note.inode, note.size, note.mtime] for note in evidence.files]
    # An earlier drainer knows SHA-256 in `images` alone: it is not to take others for damage.
    content = {
        "images": dict.fromkeys(evidence.images, ""),
        "checksums": dict(evidence.images),
        "files": files,
    }
    data = json.dumps(content).encode("ascii")
    if len(data) > LIMIT:
        raise StorageError(f"its checkpoint has too many files: more than {LIMIT} bytes of names")
    directory.write(_name(container), data)
    return hashlib.sha256(data).hexdigest()


def read(directory: StateDirectory, container: str, digest: str) -> Evidence:
    """Return what `write` kept when it returned `digest`.

    Raises `CheckpointInvalidError` when it is not there any more, or not as it was.
    """
    name = _name(container)
    try:
        data = directory.read(name, LIMIT)
    except FileNotFoundError as error:
        raise CheckpointInvalidError(f"{name}: missing in the state directory") from error
    except DrainerError as error:
        raise CheckpointInvalidError(error.message) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointInvalidError(f"{name}: does not fit its digest in the manifest")
    try:
        fields = json.loads(data)
        noted = fields["checksums"] if "checksums" in fields else fields["images"]
        images = {str(key): str(value) for key, value in noted.items()}
        files = tuple(FileNote(str(path), *map(int, rest)) for path, *rest in fields["files"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointInvalidError(f"{name}: another drainer wrote it") from error
    return Evidence(images, files)


def prune(directory: StateDirectory, kept: Collection[str]) -> None:
    """Delete all evidence but that of these containers, and half-written one.

    What cannot be deleted stays.
    """
    names: tuple[str, ...] = ()
    with suppress(DrainerError):
        names = directory.names()
    for name in names:
        found = _NAME.fullmatch(name)
        if found and (found["half"] or found["container"] not in kept):
            with suppress(DrainerError):
                directory.remove(name)


def _name(container: str) -> str:
    return f"evidence-{container}.json"
