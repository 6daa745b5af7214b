"""Skip reasons from the room for checkpoints."""

from drainer.model import Route, Subject
from drainer.rules.rule import Rule, shown, skip

_LENGTH = 160


@skip(
    "no_room_engine",
    "On the engine route there is no room for its checkpoint, which is written to containerd's "
    "temporary directory, to containerd's content store and to Docker's directory.",
    "Free some space there (a temporary directory in memory also needs memory), or give it a "
    "higher `drainer.priority` than those that take the room.",
    routes=(Route.ENGINE,),
)
def no_room_engine(subject: Subject) -> str | None:
    """See `drainer.room`."""
    return _lacking(subject, Route.ENGINE)


@skip(
    "no_room_runtime",
    "There is no room for its checkpoint in drainer's state directory.",
    "Free some space there, mount a larger disk at /var/lib/drainer, or give it a higher "
    "`drainer.priority` than those that take the room.",
    routes=(Route.RUNTIME,),
)
def no_room_runtime(subject: Subject) -> str | None:
    """See `drainer.room`."""
    return _lacking(subject, Route.RUNTIME)


def _lacking(subject: Subject, route: Route) -> str | None:
    lacking = subject.no_room.get(route)
    return None if lacking is None else shown(lacking, _LENGTH)


RULES: tuple[Rule, ...] = (no_room_engine, no_room_runtime)
