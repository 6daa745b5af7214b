"""Skip reasons from a container's devices and mounts (docker inspect)."""

from posixpath import normpath

from drainer.model import Mount, Route, Subject
from drainer.rules.rule import Rule, listed, skip

_GPU_DEVICES = ("/dev/nvidia", "/dev/dri", "/dev/kfd")
_HARMLESS_DEVICES = frozenset(
    {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}
)
_PROPAGATIONS = frozenset({"shared", "rshared", "slave", "rslave"})
_VOLATILE = ("/run", "/var/lock", "/tmp", "/dev/shm")  # noqa: S108 - paths to recognise, none is used
_MADE_AGAIN = frozenset(
    {"/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket"}
)
_MADE_AGAIN_BELOW = "/run/systemd/journal"


def _is_gpu(device: str) -> bool:
    return normpath(device).startswith(_GPU_DEVICES)


def _is_at_or_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


def _is_volatile(mount: Mount) -> bool:
    # normpath keeps two leading slashes.
    source = normpath("/" + mount.source.lstrip("/"))
    if _is_at_or_below(source, "/var/run"):
        source = source.removeprefix("/var")
    if source in _MADE_AGAIN or _is_at_or_below(source, _MADE_AGAIN_BELOW):
        return False
    return any(_is_at_or_below(source, directory) for directory in _VOLATILE)


@skip(
    "device_gpu",
    "It was given a graphics card, whose memory cannot be saved.",
    "Create it again without `--gpus` and without the card's `--device`, if it can do without.",
)
def device_gpu(subject: Subject) -> str | None:
    """Needs CRIU plugins and the vendor's help, which Docker's own mounts defeat."""
    if subject.container.device_requests:
        return "--gpus"
    return listed([device for device in subject.container.devices if _is_gpu(device)])


@skip(
    "device_other",
    "It was given a device of the host (`--device`), whose state cannot be saved.",
    "Create it again without that `--device`, if it can do without.",
)
def device_other(subject: Subject) -> str | None:
    """Count the unopened ones too: a device may be opened between plan and drain."""
    return listed(
        [
            device
            for device in subject.container.devices
            if not _is_gpu(device) and normpath(device) not in _HARMLESS_DEVICES
        ]
    )


@skip(
    "mount_propagation",
    "One of its mounts passes on what is mounted below it (`shared` or `slave` propagation), "
    "which CRIU refuses to save by default.",
    "Create it again without `:shared`, `:rshared`, `:slave` or `:rslave` on that mount, or try "
    "`mkdir -p /etc/criu && echo enable-external-masters >> /etc/criu/runc.conf`, which holds "
    "for every container.",
)
def mount_propagation(subject: Subject) -> str | None:
    """CRIU criu/mount.c: `has unreachable sharing`."""
    if "enable-external-masters" in subject.host.criu_options:
        return None
    return listed(
        [
            f"{mount.destination} ({mount.propagation})"
            for mount in subject.container.mounts
            if mount.propagation in _PROPAGATIONS
        ]
    )


@skip(
    "bind_source_volatile",
    "It uses a file or directory of the host that does not outlast a reboot (below /run, /tmp or "
    "/dev/shm).",
    "Move that file or directory to a disk, for example below /srv, or use a volume, and create "
    "the container again.",
)
def bind_source_volatile(subject: Subject) -> str | None:
    """Docker starts no container whose bind source is gone; known services' sockets come back."""
    return listed(
        [
            mount.source
            for mount in subject.container.mounts
            if mount.kind == "bind" and _is_volatile(mount)
        ]
    )


@skip(
    "bind_source_link",
    "It mounts a file or directory of the host that is a symbolic link, which CRIU cannot mount "
    "again when Docker asks it to.",
    "Create it again with what the link leads to (`readlink -f SOURCE`) as the source.",
    routes=(Route.ENGINE,),
)
def bind_source_link(subject: Subject) -> str | None:
    """CRIU opens a source without following links (criu/mount-v2.c): `Can't remount ...`."""
    return listed(subject.processes.linked_sources)


RULES: tuple[Rule, ...] = (
    device_gpu,
    device_other,
    mount_propagation,
    bind_source_volatile,
    bind_source_link,
)
"""The most fundamental first."""
