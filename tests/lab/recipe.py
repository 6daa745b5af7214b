"""What a disposable host consists of, and the key under which its disk is cached."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.txt"

_HOST_PACKAGES = (
    "apparmor",
    "busybox-static",
    "ca-certificates",
    "containerd",
    "criu",
    "curl",
    "dbus",
    "docker-cli",
    "docker.io",
    "initramfs-tools",
    "iproute2",
    "iptables",
    "kmod",
    "linux-image-cloud-amd64",
    "openssh-server",
    "procps",
    "python3",
    "python3-venv",
    "rpm",
    "runc",
    "strace",
    "systemd-sysv",
    "udev",
)
_BENCH_PACKAGES = ("aardvark-dns", "crun", "nftables", "openjdk-21-jre-headless", "podman")
_WORKLOAD_PACKAGES = (
    "busybox-static",
    "curl",
    "iproute2",
    "nginx-light",
    "postgresql",
    "procps",
    "python3",
    "redis-server",
    "redis-tools",
)
# The files whose text decides what ends up on the disk.
_BUILDERS = ("recipe.py", "build.py", "bake.py", "images.py")


@dataclass(frozen=True)
class Recipe:
    """One kind of host. `python` is the version on it, such as 3.13."""

    suite: str
    python: str
    host_packages: tuple[str, ...] = _HOST_PACKAGES
    workload_packages: tuple[str, ...] = _WORKLOAD_PACKAGES
    disk_size: str = "16G"
    variant: str = ""
    """What tells it from the plain host of its suite."""

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return self.variant or self.suite

    @property
    def key(self) -> str:
        """Name of the cached disk: changes when anything does that decides what is on it."""
        digest = hashlib.sha256(repr(self).encode())
        for name in _BUILDERS:
            digest.update(Path(__file__).with_name(name).read_bytes())
        digest.update(LOCK.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:12]}"


RECIPES = {
    # There the command line is part of docker.io.
    "bookworm": Recipe(
        suite="bookworm",
        python="3.11",
        host_packages=tuple(name for name in _HOST_PACKAGES if name != "docker-cli"),
    ),
    "trixie": Recipe(suite="trixie", python="3.13"),
    "forky": Recipe(suite="forky", python="3.14"),
    # With what is measured beside drainer. Docker 28 and later restore nothing that has a network
    # of its own; this one does.
    "bench": Recipe(
        suite="trixie",
        python="3.13",
        host_packages=(*_HOST_PACKAGES, *_BENCH_PACKAGES),
        variant="bench",
    ),
}
