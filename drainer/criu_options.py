"""Which of CRIU's options a container needs, where they can be given to it alone."""

from drainer.config.choices import Tcp
from drainer.model import Subject
from drainer.versions import version_of

TCP_CLOSE = "tcp-close"
"""Connections are not saved, and are closed at the restore, which needs the option too."""
TCP_ESTABLISHED = "tcp-established"
"""Connections are saved, and restored if the address is the same; the restore needs it too."""
ABOUT_TCP = (TCP_CLOSE, TCP_ESTABLISHED)
SKIP_IN_FLIGHT = "skip-in-flight"
"""Connections that a server has not accepted yet, of which a paused one collects many, are dropped;
else CRIU refuses (criu/sk-inet.c: `In-flight connection`)."""
RUNC_SKIP_IN_FLIGHT = "tcp-skip-in-flight"
"""The same by runc, which from that version on sets it to false unless it is told."""
RUNC_SETS_IT = (1, 3, 0)
TRACKING = "mem_dirty_track"
"""The feature by which the kernel tells which memory has changed since an earlier dump."""
NETWORK_LOCK = "network-lock"
NO_LOCK = "network-lock-skip"
"""CRIU keeps packets away while it saves and restores connections, for which it runs iptables and
its kin 7 times while the container is frozen, and 5 times at the restore, which takes this from the
images (criu/net.c iptables_network_lock_internal, iptables_network_unlock_internal). Where no
connection is kept there is nothing to be guarded."""
LINES = {NO_LOCK: f"{NETWORK_LOCK} skip"}
"""How CRIU takes what is a switch here: only switches and sizes are taken from a manifest."""
SKIPS_LOCK = (3, 19, 0)
"""The first CRIU that can do without."""
GHOST_LIMIT = "ghost-limit"
"""Above this size CRIU does not save a deleted file that is still open."""


def criu_options(subject: Subject) -> tuple[str, ...]:
    """Return the options for CRIU on the runtime route, as they are in its file or in `LINES`."""
    set_for_all = set(ABOUT_TCP).intersection(subject.host.criu_options)
    runc = version_of(subject.engine.runc)
    keeps = subject.wish.tcp is Tcp.KEEP or TCP_ESTABLISHED in set_for_all
    lockless = version_of(subject.host.criu) >= SKIPS_LOCK and not keeps
    skip = RUNC_SKIP_IN_FLIGHT if runc >= RUNC_SETS_IT else SKIP_IN_FLIGHT
    return tuple(
        line
        for line, needed in (
            ("file-locks", subject.processes.file_locks > 0),
            (skip, True),
            # Whether it has any is not known before it is frozen.
            (TCP_ESTABLISHED, subject.wish.tcp is Tcp.KEEP and TCP_CLOSE not in set_for_all),
            (TCP_CLOSE, subject.wish.tcp is Tcp.CLOSE and not set_for_all),
            (NO_LOCK, lockless and NETWORK_LOCK not in subject.host.criu_options),
            # A log may be deleted, and grow, until it is frozen.
            (f"{GHOST_LIMIT} {subject.wish.ghost_limit_mib}M", True),
        )
        if needed
    )
