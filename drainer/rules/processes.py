"""Skip reasons from a container's processes (/proc)."""

from drainer.config.choices import Tcp
from drainer.criu_options import ABOUT_TCP, GHOST_LIMIT, TCP_CLOSE
from drainer.labels import LABEL_GROUP, LABEL_TCP
from drainer.model import Route, Subject
from drainer.rules.rule import Rule, listed, skip, when
from drainer.text import size
from drainer.versions import version_of

_REASON_LENGTH = 200
"""Characters of a network's name and of why an address on it changes."""
_KEEPS_NO_NEW_PRIVILEGES = (3, 19, 0)


def _lacks(subject: Subject, *options: str) -> bool:
    return not any(option in subject.host.criu_options for option in options)


@skip(
    "processes_unseen",
    "None of its processes could be examined, so it is not known whether it can be restored.",
    "Run `drainer plan` again as root; if it stays like this, look whether the container still "
    "runs with `docker top NAME`.",
)
def processes_unseen(subject: Subject) -> str | None:
    """See `ProcessFacts.count`: it ended meanwhile, or /proc hides it."""
    container = subject.container
    up = container.running and not container.restarting and not container.dead
    return when(case=up and subject.processes.count < 1)


@skip(
    "seccomp_unsupported",
    "Its system calls are filtered (seccomp, Docker's default), and CRIU or the kernel here "
    "cannot save such a filter.",
    "Run `criu check --feature seccomp_filters` and `criu check --feature seccomp_suspend` and "
    "boot a kernel that has both.",
)
def seccomp_unsupported(subject: Subject) -> str | None:
    """Ask the processes, not the settings; strict mode (1) has no filters to save."""
    needed = ("seccomp_suspend", "seccomp_filters")[: subject.processes.seccomp_mode]
    missing = [feature for feature in needed if feature not in subject.host.criu_features]
    return listed(missing)


@skip(
    "no_new_privileges_lost",
    "It was started with `no-new-privileges`, and this CRIU would restore it without that "
    "restriction.",
    "Install CRIU 3.19 or newer, or create it again without `--security-opt no-new-privileges`.",
)
def no_new_privileges_lost(subject: Subject) -> str | None:
    """CRIU saves it since 3.19 (criu/cr-dump.c no_new_privs); before, it is lost in silence."""
    old = version_of(subject.host.criu) < _KEEPS_NO_NEW_PRIVILEGES
    return when(case=subject.processes.no_new_privileges and old)


@skip(
    "traced",
    "One of its processes is being debugged or traced (by gdb, strace or the like), and only one "
    "program can do that at a time.",
    "End the debugger or tracer; the line `TracerPid` in /proc/PID/status names it.",
)
def traced(subject: Subject) -> str | None:
    """CRIU seizes the processes with ptrace itself."""
    return when(case=subject.processes.traced)


@skip(
    "unsupported_files",
    "It has something open that cannot be saved, such as an io_uring queue.",
    "Switch that feature off in the program, if it has a setting for it; for io_uring on the "
    "whole host, run `sysctl kernel.io_uring_disabled=2` and restart the container.",
)
def unsupported_files(subject: Subject) -> str | None:
    """CRIU criu/files.c: `Can't dump file ... of that type`."""
    return listed(subject.processes.unsupported_files)


@skip(
    "device_open",
    "It has a device file open, and the state of that device cannot be saved.",
    "Stop what uses the device inside the container, or create it again without access to it.",
)
def device_open(subject: Subject) -> str | None:
    """CRIU criu/files.c: `Can't dump file ... (chr ...)`."""
    return listed(subject.processes.devices)


@skip(
    "nested_namespaces",
    "Something inside it made containers or sandboxes of its own (Docker, systemd, a browser), "
    "which cannot be saved.",
    "Run those inner programs as containers of the host, or without their sandbox.",
)
def nested_namespaces(subject: Subject) -> str | None:
    """Nested mount namespaces alone are supported by CRIU (criu/namespaces.c)."""
    return listed([kind for kind in subject.processes.nested_namespaces if kind != "mnt"])


@skip(
    "inner_mounts",
    "Something inside it mounted a file system that Docker does not know of and that cannot be "
    "restored.",
    "Unmount it inside the container, or mount it on the host and hand it in with `-v`.",
)
def inner_mounts(subject: Subject) -> str | None:
    """CRIU criu/mount.c: `unsupported id`, `fuse mount but not external`."""
    return listed(subject.processes.inner_mounts)


@skip(
    "unix_external_stream",
    "It has an open connection over a Unix socket to a program outside of the container, and "
    "only one half of it could be saved.",
    "Close the connection (to the Docker socket, D-Bus, a database's socket) before the drain, "
    "or use TCP for it.",
)
def unix_external_stream(subject: Subject) -> str | None:
    """CRIU's `ext-unix-sk` helps with datagram sockets only (criu/sk-unix.c)."""
    return listed(subject.processes.unix_outside)


@skip(
    "shm_external",
    "It uses shared memory in a /dev/shm that is not its own, and what is in there is lost when "
    "it goes down.",
    "Create it again with `--ipc private`, Docker's default.",
)
def shm_external(subject: Subject) -> str | None:
    """With `--ipc shareable`, `host` or `container:...`, CRIU sees /dev/shm as external."""
    return listed(subject.processes.shm_outside)


@skip(
    "tcp_not_wanted",
    "It has open TCP connections, and is not to lose them.",
    "Close them before the drain, or let it be carried without them: by its label "
    f"`{LABEL_TCP}=close`, or `tcp: close` in the configuration.",
)
def tcp_not_wanted(subject: Subject) -> str | None:
    """See `Wish.tcp`: what cannot connect again is better off with an ordinary stop."""
    count = subject.processes.tcp_established
    kept = "tcp-established" in subject.host.criu_options
    return str(count) if count and subject.wish.tcp is Tcp.SKIP and not kept else None


@skip(
    "tcp_not_kept",
    f"It is to keep its open TCP connections (`{LABEL_TCP}=keep`), and they cannot be kept.",
    f"Put the containers at both ends into one group (`{LABEL_GROUP}`), with addresses that stay "
    f"(`--ip`), or let it find its connections closed, by `{LABEL_TCP}=close`.",
)
def tcp_not_kept(subject: Subject) -> str | None:
    """Refuse where one end would see the other one dead, or come back at another address."""
    facts = subject.processes
    if not facts.tcp_established or subject.wish.tcp is not Tcp.KEEP:
        return None
    if TCP_CLOSE in subject.host.criu_options:
        return f"{TCP_CLOSE} in /etc/criu/runc.conf"
    kept = {*subject.group_addresses, *subject.far_addresses}
    if lost := [peer for peer in facts.tcp_peers if peer not in kept]:
        return f"to {listed(lost)}"
    return listed(subject.changing_addresses, _REASON_LENGTH)


@skip(
    "tcp_established",
    "It has open TCP connections, which CRIU refuses to save by default.",
    "Run `mkdir -p /etc/criu && echo tcp-close >> /etc/criu/runc.conf`: then every container is "
    "saved without its TCP connections and finds them closed afterwards, so its programs must "
    "be able to connect again.",
    routes=(Route.ENGINE,),
)
def tcp_established(subject: Subject) -> str | None:
    """CRIU criu/sk-inet.c: `Connected TCP socket`."""
    count = subject.processes.tcp_established
    refused = _lacks(subject, *ABOUT_TCP) or subject.wish.tcp is Tcp.KEEP
    return str(count) if count and refused else None


@skip(
    "file_locks",
    "It holds locks on files, which CRIU refuses to save by default.",
    "If no locked file is shared with programs outside of the container, run `mkdir -p /etc/criu "
    "&& echo file-locks >> /etc/criu/runc.conf`, which holds for every container.",
    routes=(Route.ENGINE,),
)
def file_locks(subject: Subject) -> str | None:
    """CRIU criu/file-lock.c: `Some file locks are hold by dumping tasks`."""
    count = subject.processes.file_locks
    return str(count) if count and _lacks(subject, "file-locks") else None


@skip(
    "ghost_file_large",
    "It has a deleted file of more than 1 MiB open, more than CRIU saves by default.",
    "Run `mkdir -p /etc/criu && echo 'ghost-limit 512M' >> /etc/criu/runc.conf`, with a limit "
    "above the size of the file; it holds for every container.",
    routes=(Route.ENGINE,),
)
def ghost_file_large(subject: Subject) -> str | None:
    """CRIU criu/files-reg.c: `Can't dump ghost file`."""
    return listed(subject.processes.deleted_files) if _lacks(subject, "ghost-limit") else None


@skip(
    "ghost_file_over_limit",
    "It has a larger deleted file open than is to be saved.",
    "Raise `drain.ghost_limit_mib` in the configuration, or let the program close that file.",
    routes=(Route.RUNTIME,),
)
def ghost_file_over_limit(subject: Subject) -> str | None:
    """CRIU compares with the size on disk (criu/files-reg.c dump_ghost_remap)."""
    facts, limit = subject.processes, subject.wish.ghost_limit_mib
    set_for_all = GHOST_LIMIT in subject.host.criu_options
    if set_for_all or facts.largest_deleted <= limit << 20:
        return None
    return f"{size(facts.largest_deleted)}, and the limit is {limit} MiB"


RULES: tuple[Rule, ...] = (
    processes_unseen,
    seccomp_unsupported,
    no_new_privileges_lost,
    traced,
    unsupported_files,
    device_open,
    nested_namespaces,
    inner_mounts,
    unix_external_stream,
    shm_external,
    tcp_not_wanted,
    tcp_not_kept,
    tcp_established,
    file_locks,
    ghost_file_large,
    ghost_file_over_limit,
)
"""The most fundamental first; last those that an option of CRIU overcomes."""
