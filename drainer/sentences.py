"""What is said of a container, in sentences for people. Pure."""

from drainer.errors import DrainerError
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import Container
from drainer.networks import Address


def why_cold(entry: Entry) -> str:
    """Say why a container is started from the beginning that is so by the manifest alone."""
    if entry.state is not State.RESTORING:
        return entry.detail or "what became of it at the drain is not known"
    if entry.checkpoint_state is CheckpointState.UNUSABLE:
        return entry.detail
    cut = "its restore was cut short"
    return f"{cut}: {entry.detail}" if entry.detail else cut


def first_line(error: DrainerError) -> str:
    """Leave out what follows, such as the name of a log that is deleted by then."""
    return error.message.partition("\n")[0]


def changes(entry: Entry, container: Container) -> tuple[str, ...]:
    """Say in sentences what is not as it was at the drain."""
    now: dict[str, Address] = {a.network: a for a in container.addresses}
    moved = tuple(
        f"its address on {old.network} was {old.ipv4} and is {now[old.network].ipv4}"
        for old in entry.addresses
        if old.network in now and old.ipv4 != now[old.network].ipv4
    )
    renamed = (f"it is called {container.name} now",) if container.name != entry.name else ()
    return renamed + moved


def is_news(entry: Entry) -> bool:
    """Tell whether a container has just come to its state, and not only been waited for in it.

    One without a checkpoint that is `stopped` is about to be stopped in order.
    """
    stopped = entry.state is State.STOPPED
    return not entry.detail and (not stopped or entry.checkpoint_state is CheckpointState.COMPLETE)


def wish(manifest: Manifest) -> str:
    """Say who asked for a drain, and why, as far as that is known."""
    by = f"by {manifest.by}" if manifest.by else ""
    return ": ".join(part for part in (by, manifest.reason) if part)


def outcome(entry: Entry) -> str:
    """Say all that the manifest tells of a container for people."""
    parts = [f"{entry.skip_reason}: {entry.detail}" if entry.skip_reason else entry.detail]
    parts += entry.notes
    if entry.checkpoint_state is CheckpointState.UNUSABLE:
        parts.append(f"checkpoint {entry.checkpoint} is kept for inspection")
    return "; ".join(part for part in parts if part)
