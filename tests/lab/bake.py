"""The one boot in which a new disk gets its workload images."""

from pathlib import Path

from tests.lab.host import Host, Image
from tests.lab.machine import Machine

ARCHIVE = "var/lib/lab-images.tar"
"""Where the images are on the disk before that boot."""

_LOAD_SECONDS = 900.0


def bake(image: Image, directory: Path) -> None:
    """Boot the disk itself, load the images and freeze it there. `directory` gets the console."""
    machine = Machine(image.kernel, image.initrd, (image.top,), directory)
    host = Host(machine, image.key)
    try:
        host.power_on()
        host.run(f"docker load -q -i /{ARCHIVE} && rm /{ARCHIVE}", _LOAD_SECONDS)
        host.run("fstrim /", _LOAD_SECONDS)
        host.end(image.memory_file)
    finally:
        host.dispose()
