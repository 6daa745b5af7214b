"""Workload images without a registry: root file systems, and the images that are made of them."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tag:
    """An image in the guest: its name, its root file system and its configuration."""

    name: str
    root: str
    config: Mapping[str, object]


_ENV = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
_POSTGRES = (
    "exec /usr/lib/postgresql/*/bin/postgres -D /var/lib/postgresql/*/main "
    "-c config_file=$(echo /etc/postgresql/*/main/postgresql.conf) "
    "-c listen_addresses=* -c unix_socket_directories=/tmp -c external_pid_file="
)
BUSYBOX, WORKLOAD = "busybox", "workload"
TAGS = (
    Tag("lab/busybox", BUSYBOX, {"Cmd": ["sh"]}),
    Tag("lab/workload", WORKLOAD, {"Cmd": ["bash"]}),
    Tag(
        "lab/redis",
        WORKLOAD,
        {
            "Cmd": ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"],  # noqa: S104
            "WorkingDir": "/var/lib/redis",
            "ExposedPorts": {"6379/tcp": {}},
        },
    ),
    Tag(
        "lab/nginx",
        WORKLOAD,
        {"Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}},
    ),
    Tag(
        "lab/postgres",
        WORKLOAD,
        {"Cmd": ["sh", "-c", _POSTGRES], "User": "postgres", "ExposedPorts": {"5432/tcp": {}}},
    ),
    Tag("lab/python", WORKLOAD, {"Cmd": ["python3"]}),
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


def archive(roots: Mapping[str, Path], target: Path) -> None:
    """Write one archive for `docker load` with all images over their root file systems."""
    with tarfile.open(target, "w") as whole:
        sums = {}
        for name, path in roots.items():
            with path.open("rb") as file:
                sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
            whole.add(path, f"{name}.tar")
        listing = []
        for tag in TAGS:
            document = {
                "architecture": "amd64",
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": {**_ENV, **tag.config},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sums[tag.root]}"]},
                "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "drainer's lab"}],
            }
            config = json.dumps(document).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add_file(whole, name, config)
            listing.append(
                {"Config": name, "RepoTags": [f"{tag.name}:latest"], "Layers": [f"{tag.root}.tar"]}
            )
        _add_file(whole, "manifest.json", json.dumps(listing).encode())


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))
