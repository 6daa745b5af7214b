"""Workload images without a registry: root file systems as tar files, and how to import them."""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

_SECTOR = 512


@dataclass(frozen=True)
class Tag:
    """An image in the guest: `changes` as for `docker import --change`, over the image `base`."""

    name: str
    base: str
    changes: tuple[str, ...]


_PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POSTGRES = (
    "exec /usr/lib/postgresql/*/bin/postgres -D /var/lib/postgresql/*/main "
    "-c config_file=$(echo /etc/postgresql/*/main/postgresql.conf) "
    "-c listen_addresses=* -c unix_socket_directories=/tmp -c external_pid_file="
)

IMPORTED = {
    "busybox.tar": Tag("lab/busybox", "", (_PATH, 'CMD ["sh"]')),
    "workload.tar": Tag("lab/workload", "", (_PATH, 'CMD ["bash"]')),
}
DERIVED = (
    Tag(
        "lab/redis",
        "lab/workload",
        (
            'CMD ["redis-server","--bind","0.0.0.0","--protected-mode","no"]',
            "WORKDIR /var/lib/redis",
            "EXPOSE 6379",
        ),
    ),
    Tag("lab/nginx", "lab/workload", ('CMD ["nginx","-g","daemon off;"]', "EXPOSE 80")),
    Tag(
        "lab/postgres",
        "lab/workload",
        (f'CMD ["sh","-c","{_POSTGRES}"]', "USER postgres", "EXPOSE 5432"),
    ),
    Tag("lab/python", "lab/workload", ('CMD ["python3"]',)),
)

# What no workload runs: each file costs an emulated Docker its time.
_UNUSED = (
    "usr/bin/perl*",
    "usr/bin/redis-check-aof",
    "usr/lib/*/gconv",
    "usr/lib/*/libLLVM*",
    "usr/lib/*/libapt-*",
    "usr/lib/*/libperl*",
    "usr/lib/*/perl*",
    "usr/lib/*/systemd",
    "usr/lib/apt",
    "usr/lib/postgresql/*/lib/bitcode",
    "usr/lib/postgresql/*/lib/llvmjit*",
    "usr/lib/systemd",
    "usr/lib/udev",
    "usr/share/bash-completion",
    "usr/share/i18n",
    "usr/share/perl*",
    "var/cache/*",
    "var/lib/apt",
    "var/lib/dpkg",
)

# nginx logs to the container's output, as the usual image does; PostgreSQL trusts its network.
WORKLOAD_HOOKS = (
    *(f'rm -rf "$1"/{path}' for path in _UNUSED),
    'ln -sf /dev/stdout "$1/var/log/nginx/access.log"',
    'ln -sf /dev/stderr "$1/var/log/nginx/error.log"',
    'for f in "$1"/etc/postgresql/*/main/pg_hba.conf; do echo "host all all all trust" >"$f"; done',
    'rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
)


def busybox_tar(busybox: Path, target: Path) -> None:
    """Write a root file system with a static busybox and its links."""
    listing = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    with tarfile.open(target, "w") as archive:
        for name in ("bin", "etc", "root", "proc", "sys", "dev", "var", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        _add_file(
            archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"
        )
        _add_file(archive, "etc/group", b"root:x:0:\nuser:x:1000:\n")
        _add_file(archive, "bin/busybox", busybox.read_bytes(), 0o755)
        for name in listing.stdout.split():
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type = tarfile.SYMTYPE
                entry.linkname = "busybox"
                archive.addfile(entry)


def pad(path: Path) -> None:
    """Make a file's length a multiple of a sector, so that the guest sees all of it as a disk."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(-(-size // _SECTOR) * _SECTOR)


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))
