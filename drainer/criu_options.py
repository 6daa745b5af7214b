"""Which of CRIU's options a container needs, where they can be given to it alone."""

from drainer.model import Subject

TCP_CLOSE = "tcp-close"
"""Connections are not saved, and are closed at the restore, which needs the option too."""
ABOUT_TCP = (TCP_CLOSE, "tcp-established")
GHOST_LIMIT = "ghost-limit 1G"
"""Above this size CRIU does not save a deleted file that is still open."""


def criu_options(subject: Subject) -> tuple[str, ...]:
    """Return the lines for CRIU's configuration file on the runtime route."""
    facts = subject.processes
    set_for_all = set(ABOUT_TCP).intersection(subject.host.criu_options)
    return tuple(
        line
        for line, needed in (
            ("file-locks", facts.file_locks > 0),
            (TCP_CLOSE, facts.tcp_established > 0 and not set_for_all),
            (GHOST_LIMIT, bool(facts.deleted_files)),
        )
        if needed
    )
