"""The one boot in which a new disk gets its workload images."""

import shlex
from pathlib import Path

from tests.lab.host import Host, Image
from tests.lab.images import DERIVED, IMPORTED, Tag
from tests.lab.machine import Drive, Machine

_IMPORT_SECONDS = 900.0


def bake(image: Image, tars: Path, directory: Path) -> None:
    """Boot the disk itself, import the tar files and shut down. `directory` gets the console."""
    drives = [image.top, *(Drive(tars / name, "raw", readonly=True) for name in IMPORTED)]
    machine = Machine(image.kernel, image.initrd, tuple(drives), directory)
    host = Host(machine, image.key)
    try:
        host.power_on()
        for letter, tag in zip("bcdef", IMPORTED.values(), strict=False):
            command = f"docker import {_changes(tag)} - {tag.name} </dev/vd{letter}"
            host.run(command, _IMPORT_SECONDS)
        for tag in DERIVED:
            host.run(
                f"c=$(docker create {tag.base}) && "
                f"docker commit {_changes(tag)} $c {tag.name} && docker rm $c",
                _IMPORT_SECONDS,
            )
        host.shutdown()
    finally:
        host.dispose()


def _changes(tag: Tag) -> str:
    return " ".join(f"--change {shlex.quote(change)}" for change in tag.changes)
