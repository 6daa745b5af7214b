"""drainer on a host, by the words of the README, once for each state of the checkout.

`python -m tests.lab.install forky` makes such a host beforehand.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

from tests.lab import build, cache
from tests.lab.errors import LabError
from tests.lab.host import MEMORY, Host, Image, start
from tests.lab.say import step

# The README's commands, to be run in the checkout. A stranger's first minutes are under test, too.
INSTALL = (
    "python3 -m venv /opt/drainer",
    "/opt/drainer/bin/pip install .",
    "ln -sf /opt/drainer/bin/drainer /usr/local/bin/drainer",
)
CHECKOUT = "/usr/src/drainer"

_INSTALL_SECONDS = 900.0
_LAYERS_KEPT = 2
# Not part of what is installed: an edited test or page must not cost a new layer.
_LEFT_OUT = ("tests/", ".ci/", ".packages/", "docs/")


def install_drainer(host: Host, checkout: Path) -> None:
    """Copy the checkout to `/usr/src/drainer` in the guest and run the README's commands there."""
    host.run(f"mkdir -p {CHECKOUT}")
    host.run(f"tar -xf - -C {CHECKOUT}", _INSTALL_SECONDS, data=_archive(checkout))
    for command in INSTALL:
        host.run(f"cd {CHECKOUT} && {command}", _INSTALL_SECONDS)


def with_drainer(image: Image, checkout: Path) -> Image:
    """Return the image with the checkout installed on it; install it first if it is not cached."""
    digest = hashlib.sha256(_archive(checkout))
    digest.update("\n".join(INSTALL).encode())
    layer = image.directory / f"drainer-{digest.hexdigest()[:12]}.qcow2"
    with cache.exclusive(f"{image.suite}-install"):
        if layer.exists():
            os.utime(layer)
        else:
            with step(f"installing drainer on {image.suite}, once for this checkout"):
                _make(image, checkout, layer)
        layers = sorted(image.directory.glob("drainer-*.qcow2"), key=_age)
        cache.prune(layers[_LAYERS_KEPT:])
        for memory in image.directory.glob(f"drainer-*{MEMORY}"):
            if not memory.with_name(memory.name.partition(".")[0] + layer.suffix).exists():
                memory.unlink()
    return Image(image.suite, image.directory, layer)


def _make(image: Image, checkout: Path, layer: Path) -> None:
    with start(image) as host:
        disk = host.machine.drives[0].path
        install_drainer(host, checkout)
        host.end(replace(image, layer=layer).memory_file)
        cache.flush(disk)
        disk.rename(layer)


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _archive(checkout: Path) -> bytes:
    """Pack the files that git knows or would know, always into the same bytes."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        raise LabError(f"{checkout} is no git checkout: {listing.stderr.decode(errors='replace')}")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in sorted(set(listing.stdout.decode().split("\0"))):
            path = checkout / name
            if not name or name.startswith(_LEFT_OUT) or not os.path.lexists(path):
                continue
            archive.add(path, name, recursive=False, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def main() -> None:
    """Make the images of the suites that are named, with this checkout on them."""
    for suite in sys.argv[1:]:
        with_drainer(build.image(suite), Path(__file__).parents[2])


if __name__ == "__main__":
    main()
