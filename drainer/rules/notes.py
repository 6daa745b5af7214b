"""Notes: what the owner of a container should know though it is carried."""

from drainer import priority
from drainer.config.choices import Tcp
from drainer.labels import LABEL_PRIORITY, LABEL_TCP, PREFIX, mistakes
from drainer.model import Subject
from drainer.rules.namespaces import has_own_network
from drainer.rules.rule import Rule, listed, note, shown, when

_REASON_LENGTH = 200
"""Characters of a network's name and of why an address on it changes."""


@note(
    "exec_sessions",
    "Commands that were started in it with `docker exec` are not saved and end.",
    "Let them finish before the reboot, or start them again after it.",
)
def exec_sessions(subject: Subject) -> str | None:
    """They are not children of the container's first process."""
    count = subject.container.exec_sessions
    return str(count) if count else None


@note(
    "paused_by_owner",
    "It is paused, and will be paused again after the reboot.",
    "Run `docker unpause NAME` when it should go on.",
)
def paused_by_owner(subject: Subject) -> str | None:
    """See `Container.paused`; a restored container runs for a moment before that."""
    return when(case=subject.container.paused)


@note(
    "address_changes",
    "Docker chose its network address, and it may get another one after the reboot.",
    "If something depends on the address, create it again with a fixed one: `--ip ADDRESS` on a "
    "network made with `docker network create --subnet`.",
)
def address_changes(subject: Subject) -> str | None:
    """See `drainer.addresses.kept`; one without a network of its own has no address of its own."""
    own = has_own_network(subject.container)
    return listed(subject.changing_addresses, _REASON_LENGTH) if own else None


@note(
    "tcp_connections",
    "It has open TCP connections, which are closed when it is back, unless CRIU's option "
    "`tcp-established` is set for the whole host.",
    "Make sure that its programs connect again, or have it skipped by the label "
    f"`{LABEL_TCP}=skip`.",
)
def tcp_connections(subject: Subject) -> str | None:
    """See `drainer.criu_options`, and CRIU criu/sk-tcp.c restore_one_tcp."""
    count = subject.processes.tcp_established
    return str(count) if count and subject.wish.tcp is not Tcp.KEEP else None


@note(
    "tcp_kept",
    f"It is to keep its open TCP connections (`{LABEL_TCP}=keep`), some of them to other hosts: "
    "they outlast the reboot only as long as the other ends keep trying.",
    "Let the reboot take less time than their time limits and keepalives allow for, and see that "
    "this host has the same address afterwards.",
)
def tcp_kept(subject: Subject) -> str | None:
    """See `drainer.runtime.guard`; that it is carried means that none of them is lost here."""
    keeps = subject.wish.tcp is Tcp.KEEP
    far = [peer for peer in subject.processes.tcp_peers if peer in subject.far_addresses]
    return f"to {listed(far)}" if keeps and far else None


@note(
    "net_host",
    "It uses the host's network, so the ports it listens on must still be free after the reboot.",
    "Make sure that no service of the host takes them at boot; `ss -ltnup` shows who has them.",
)
def net_host(subject: Subject) -> str | None:
    """CRIU binds each listener again, which fails when someone else was first."""
    return when(case=subject.container.network_mode == "host")


@note(
    "cgroup_parent_slice",
    "It is in a systemd slice of its own choice (`--cgroup-parent`), so systemd may end it at a "
    "shutdown before it can be saved.",
    "Run `drainer drain` by hand before the reboot, or create it again without `--cgroup-parent`.",
)
def cgroup_parent_slice(subject: Subject) -> str | None:
    """Slices other than system.slice conflict with shutdown.target (systemd slice.c)."""
    parent = subject.container.cgroup_parent
    if parent in {"", "system.slice"} or subject.engine.cgroup_driver == "cgroupfs":
        return None
    return shown(parent)


@note(
    "priority_invalid",
    f"Its label `{LABEL_PRIORITY}` is no whole number from {priority.LOWEST} to "
    f"{priority.HIGHEST}, and does not count.",
    f"Create it again with such a number (`--label {LABEL_PRIORITY}=10`), or without the label.",
)
def priority_invalid(subject: Subject) -> str | None:
    """See `drainer.priority`; a wrong wish must not cost a container its checkpoint."""
    value = subject.container.labels.get(LABEL_PRIORITY)
    if value is None or priority.parse(value) is not None:
        return None
    return f'"{shown(value)}"'


@note(
    "label_ignored",
    f"It has labels that begin with `{PREFIX}` and do not count, for they are not known, or have a "
    "wrong value.",
    "Create it again with labels that are known; docs/commands.md has them all.",
)
def label_ignored(subject: Subject) -> str | None:
    """See `drainer.labels`: what an owner has said is not passed over in silence."""
    return listed(mistakes(subject.container.labels), _REASON_LENGTH)


@note(
    "nested_mounts",
    "Some of its processes have a view of the file system of their own (a mount namespace), "
    "which is saved but was seldom tried.",
    "Try it once with `drainer drain` and `drainer resume` before you rely on it.",
)
def nested_mounts(subject: Subject) -> str | None:
    """Nested namespaces of every other kind are a skip reason."""
    return when(case="mnt" in subject.processes.nested_namespaces)


@note(
    "userns_remap",
    "Docker maps root in containers to another user (`userns-remap`), which should work with "
    "checkpoints but is little used with them.",
    "Try it once with `drainer drain` and `drainer resume` before you rely on it.",
)
def userns_remap(subject: Subject) -> str | None:
    """Upstream has no tests for it."""
    return when(case=subject.engine.userns_remap)


RULES: tuple[Rule, ...] = (
    exec_sessions,
    cgroup_parent_slice,
    tcp_connections,
    tcp_kept,
    address_changes,
    net_host,
    paused_by_owner,
    priority_invalid,
    label_ignored,
    nested_mounts,
    userns_remap,
)
"""All notes, what may cost something first."""
