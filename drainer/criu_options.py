"""Which of CRIU's options a container needs, where they can be given to it alone."""

from drainer.model import Subject

GHOST_LIMIT = "ghost-limit 1G"
"""Above this size CRIU does not save a deleted file that is still open."""


def criu_options(subject: Subject) -> tuple[str, ...]:
    """Return the lines for CRIU's configuration file on the runtime route."""
    facts = subject.processes
    return tuple(
        line
        for line, needed in (
            ("file-locks", facts.file_locks > 0),
            (GHOST_LIMIT, bool(facts.deleted_files)),
        )
        if needed
    )
