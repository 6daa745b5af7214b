"""Skip reasons from what a container shares with the host and with other containers."""

from drainer.labels import LABEL_GROUP
from drainer.model import Bond, Container, Route, Subject
from drainer.rules.rule import Rule, listed, shown, skip, when
from drainer.versions import version_of

SHARED = "container:"
"""Prefix of a mode that joins another container's namespace."""

_NEEDED_RUNNING = frozenset({Bond.NETWORK, Bond.PID, Bond.IPC, Bond.LINK})


def has_own_network(container: Container) -> bool:
    """Tell whether Docker makes a network namespace for it (`none` is one, too)."""
    mode = container.network_mode
    return not container.network_disabled and mode != "host" and not mode.startswith(SHARED)


@skip(
    "pid_host",
    "It sees the host's processes (`--pid host`), and the process numbers it had will be taken "
    "by others after the reboot.",
    "Create it again without `--pid host`, if it does not need to see the host's processes.",
)
def pid_host(subject: Subject) -> str | None:
    """CRIU restores processes under their old numbers or not at all."""
    return when(case=subject.container.pid_mode == "host")


@skip(
    "pid_container",
    "It sees another container's processes (`--pid container:...`); restoring such a container "
    "has never been tried, and the process numbers it had may be taken.",
    "Create it again without `--pid container:...`, or let it start from the beginning.",
)
def pid_container(subject: Subject) -> str | None:
    """CRIU has external PID namespaces since 3.15, but the numbers must be free in them."""
    mode = subject.container.pid_mode
    return shown(mode) if mode.startswith(SHARED) else None


@skip(
    "netns_restore_broken",
    "This Docker version cannot restore a container that has a network of its own.",
    "Use Docker 26.0.1 to 27.5.1, or create the container again with `--network host` if it may "
    "use the host's network.",
    routes=(Route.ENGINE,),
)
def netns_restore_broken(subject: Subject) -> str | None:
    """Moby 26.0.0 and 28.0.0 on bind-mount `/proc/0/ns/net` (daemon/start.go)."""
    version = version_of(subject.engine.version)
    broken = version >= (28,) or version == (26, 0, 0)
    if not broken or not has_own_network(subject.container):
        return None
    return (
        f"Docker {shown(subject.engine.version)}, network {shown(subject.container.network_mode)}"
    )


@skip(
    "provider_skipped",
    "It uses the network, processes, memory or link of another container that is skipped.",
    "Look up why that container is skipped and remove the cause, or separate the two.",
)
def provider_skipped(subject: Subject) -> str | None:
    """Without its provider, Docker refuses to start it; with a fresh one, memory would not fit."""
    return listed(
        [
            f"{provider.name} ({provider.bond})"
            for provider in subject.providers
            if provider.bond in _NEEDED_RUNNING and not provider.eligible
        ]
    )


@skip(
    "group_incomplete",
    f"Another container of its group (`{LABEL_GROUP}`) is skipped, and a group is carried as a "
    "whole or not at all.",
    "Look up why that container is skipped and remove the cause, or take one of the two out of the "
    "group.",
)
def group_incomplete(subject: Subject) -> str | None:
    """Who named the group said that some of it alone is worth less than nothing."""
    skipped = listed(subject.group_skipped)
    return None if skipped is None else f"group {shown(subject.wish.group)}: {skipped}"


RULES: tuple[Rule, ...] = (pid_host, pid_container, netns_restore_broken)
"""The most fundamental first, without those from other containers, which come after its own."""
