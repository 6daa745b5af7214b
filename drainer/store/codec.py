"""The manifest as YAML text, sealed with a checksum so that no part can be lost unnoticed."""

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml

from drainer.errors import ManifestInvalidError
from drainer.manifest import MANIFEST_VERSION, Entry, Manifest
from drainer.store.document import DocumentError, dotted, parse
from drainer.store.shape import ShapeError, check, decode, plain_fields
from drainer.text import printable
from drainer.typed import Path

if TYPE_CHECKING:
    from yaml import SafeDumper
else:
    SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

LIMIT = 8 * 1024 * 1024
"""Bytes that a manifest may have."""

HINT = (
    "see `drainer status`; to give up the checkpoints in it, move the manifest away and start the"
    " containers by hand"
)

_HEADER = (
    "# What drainer took down and has to bring back. Written and read by drainer.\n"
    "# Do not edit it while a resume is pending: the checksum in the last line would not fit.\n"
)
_NONE = "\nentries: []\n"
_SEAL = re.compile(rb"# sha256: ([0-9a-f]{64})\n")
_SEAL_LENGTH = len("# sha256: \n") + 64
_VERSION = re.compile(rb"^version: ([0-9]{1,9})\r?$", re.MULTILINE)


class _Dumper(SafeDumper):
    """Writes every string on one line, so that no part of one can look like a line of ours."""


def _one_line(dumper: SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _one_line)


Texts = dict[str, tuple[Entry, str]]
"""The text of each entry as it was written last, by its container's id."""


def dump(manifest: Manifest, known: Texts | None = None) -> bytes:
    """Write a manifest as text that `load` reads back as an equal one.

    Lone surrogates, which no file in UTF-8 can hold, are replaced by their escapes. What is `known`
    of entries that are the same objects is not made anew, and is kept up to date: a drain writes a
    manifest five times for each container. Raises `ManifestInvalidError` for a manifest that `load`
    would refuse.
    """
    try:
        check(manifest)
    except ShapeError as problem:
        raise _invalid("not written", _at(problem.path, problem.message)) from problem
    bare = replace(manifest, entries=())
    head, entries, tail = _yaml({"version": bare.version, **plain_fields(bare)}).partition(_NONE)
    texts = [_entry_text(entry, {} if known is None else known) for entry in manifest.entries]
    if texts:
        entries = f"\nentries:\n{''.join(texts)}"
    body = (_HEADER + head + entries + tail).encode("ascii")
    data = body + f"# sha256: {hashlib.sha256(body).hexdigest()}\n".encode()
    if len(data) > LIMIT:
        raise _invalid("not written", f"larger than {LIMIT} bytes")
    return data


def _entry_text(entry: Entry, known: Texts) -> str:
    found = known.get(entry.id)
    if found is None or found[0] is not entry:
        known[entry.id] = found = (entry, _yaml([plain_fields(entry)]))
    return found[1]


def _yaml(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=1 << 24)


def load(data: bytes, name: str = "manifest.yaml") -> Manifest:
    """Read a manifest that `dump` wrote, whole and unchanged.

    Raises `ManifestInvalidError` with one line: `name`, the line, the path and what is wrong.
    """
    if len(data) > LIMIT:
        raise _invalid(name, f"larger than {LIMIT} bytes")
    _check_version(data, name)
    _check_seal(data, name)
    try:
        document = parse(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise _invalid(name, "holds bytes that drainer never writes") from error
    except DocumentError as error:
        raise _invalid(name, error.message, error.line) from error
    try:
        return decode(document)
    except ShapeError as problem:
        line = document.line(problem.path)
        raise _invalid(name, _at(problem.path, problem.message), line) from problem


def _check_version(data: bytes, name: str) -> None:
    # Before all else: what seals and shapes another version is not known here.
    found = _VERSION.search(data)
    if not found:
        return
    version = int(found[1])
    if version > MANIFEST_VERSION:
        raise ManifestInvalidError(
            f"{name}: was written by a newer drainer (version {version};"
            f" this one knows {MANIFEST_VERSION})",
            "use that drainer to resume",
        )
    if version != MANIFEST_VERSION:
        raise _invalid(
            name, f"version {version} is not known; this drainer knows {MANIFEST_VERSION}"
        )


def _check_seal(data: bytes, name: str) -> None:
    body, seal = data[:-_SEAL_LENGTH], data[-_SEAL_LENGTH:]
    found = _SEAL.fullmatch(seal)
    if not found:
        raise _invalid(name, "its last line is not its checksum: it was cut off or edited")
    if hashlib.sha256(body).hexdigest().encode() != found[1]:
        raise _invalid(name, "does not fit its checksum: it was damaged or edited")


def _at(path: Path, message: str) -> str:
    return f"{dotted(path)}: {message}" if path else message


def _invalid(name: str, message: str, line: int = 0) -> ManifestInvalidError:
    where = f"{name}: line {line}" if line else name
    return ManifestInvalidError(printable(f"{where}: {message}", 500), HINT)
