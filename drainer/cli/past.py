"""What `drainer list`, `drainer show` and `drainer discard` do."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from drainer.cli import manifest_output, output
from drainer.cli.wiring import Settings
from drainer.deadline import Deadline
from drainer.errors import ConfigInvalidError, DrainerError, ManifestInvalidError
from drainer.history import choose, failed, failed_bytes, without
from drainer.manifest import Manifest
from drainer.retain import delete
from drainer.store import evidence_file
from drainer.store.files import StateDirectory
from drainer.store.history_file import HistoryFiles
from drainer.store.lock import lock
from drainer.store.manifest_file import ManifestFile
from drainer.text import printable, size


def find(settings: Settings, drain_id: str | None) -> Manifest:
    """Return a drain's manifest, the last one's for no id. Raises `NoManifestError`."""
    file = settings.manifest_file()
    if drain_id is None:
        return file.read()
    history = HistoryFiles(file.directory)
    last = file.read() if file.exists else None
    ids = ((last.drain_id,) if last else ()) + history.ids()
    chosen = choose(ids, drain_id)
    return last if last and last.drain_id == chosen else history.read(chosen)


def show_all(settings: Settings, *, as_json: bool) -> None:
    """Print a line for each drain that is kept, the newest first."""
    file = settings.manifest_file()
    drains = list(_drains(file))
    if as_json:
        output.show_json(
            drains=[
                {
                    "drain_id": drain_id,
                    "readable": manifest is not None,
                    "created": manifest.created if manifest else "",
                    "trigger": manifest.trigger if manifest else "",
                    "finished": manifest.finished if manifest else "",
                    "counts": {str(s): n for s, n in manifest.counts.items()} if manifest else {},
                    "failed_bytes": failed_bytes(manifest) if manifest else 0,
                }
                for drain_id, manifest in drains
            ]
        )
        return
    if not drains:
        output.line("nothing was drained yet")
        return
    rows = []
    for number, (drain_id, manifest) in enumerate(drains):
        if manifest is None:
            rows.append((drain_id, "-", "-", "-", "its manifest cannot be read"))
            continue
        ended = "finished" if manifest.finished else "carried on" if number else "pending"
        kept = failed_bytes(manifest)
        rows.append(
            (
                drain_id,
                manifest.trigger,
                ended,
                size(kept) if kept else "-",
                manifest_output.summary(manifest),
            )
        )
    output.show_table(("DRAIN", "TRIGGER", "RESUME", "KEPT", "CONTAINERS"), rows)


def _drains(file: ManifestFile) -> Iterator[tuple[str, Manifest | None]]:
    """Yield each drain's id, and its manifest if it can be read."""
    history = HistoryFiles(file.directory)
    last = ""
    if file.exists:
        manifest = file.read()
        last = manifest.drain_id
        yield last, manifest
    for drain_id in history.ids():
        if drain_id == last:
            continue
        try:
            yield drain_id, history.read(drain_id)
        except DrainerError:
            yield drain_id, None


def show(settings: Settings, drain_id: str | None, *, as_json: bool) -> None:
    """Print what became of each container of a drain, and which checkpoints are kept."""
    manifest = find(settings, drain_id)
    carriers = settings.carriers(
        settings.engine(), settings.host(), settings.runtime(), manifest.engine, Deadline(None)
    )
    kept = [(e, carriers[e.route].images(e)) for e in failed(manifest)]
    if as_json:
        output.show_json(
            manifest=manifest_output.manifest_json(manifest),
            checkpoints=[
                {"id": e.id, "name": e.name, "path": path, "bytes": e.size} for e, path in kept
            ],
        )
        return
    for words in manifest_output.heading(manifest):
        output.line(words)
    output.line()
    manifest_output.show_outcome(manifest, as_json=False)
    if kept:
        output.line()
        output.line("Kept for inspection (`crit x DIRECTORY ps` shows the processes):")
        for entry, path in kept:
            output.line(f"{printable(entry.name)}  {size(entry.size)}  {printable(path, 1000)}")


def discard(
    settings: Settings, drain_ids: Sequence[str], *, only_checkpoints: bool, as_json: bool
) -> None:
    """Delete what is kept of drains: checkpoints that could not be restored, and manifests."""
    state = settings.state()
    with lock(state, "discard"):
        file, history = ManifestFile(state), HistoryFiles(state)
        last = file.read() if file.exists else None
        ids = ((last.drain_id,) if last else ()) + history.ids()
        chosen = list(dict.fromkeys(choose(ids, drain_id) for drain_id in drain_ids))
        if last and last.pending and last.drain_id in chosen:
            raise ConfigInvalidError(
                f"drain {last.drain_id} waits for its resume",
                "`drainer resume` brings its containers back; with --give-up also where some"
                " cannot be started",
            )
        freed = {
            drain_id: _discard(
                settings,
                state,
                last if last and last.drain_id == drain_id else None,
                drain_id,
                only_checkpoints=only_checkpoints,
            )
            for drain_id in chosen
        }
    if as_json:
        output.show_json(freed=freed)
        return
    what = "checkpoints" if only_checkpoints else "all that was kept"
    for drain_id, count in freed.items():
        output.line(f"drain {drain_id}: {what} discarded, {size(count)} freed")


def _discard(
    settings: Settings,
    state: StateDirectory,
    last: Manifest | None,
    drain_id: str,
    *,
    only_checkpoints: bool,
) -> int:
    """Discard a drain, whose manifest is `last` if it is the last one; return the bytes freed."""
    file, history = ManifestFile(state), HistoryFiles(state)
    manifest = last
    if manifest is None:
        try:
            manifest = history.read(drain_id)
        except ManifestInvalidError:
            # What it kept is not known; the next drain deletes what no manifest speaks of.
            if only_checkpoints:
                raise
    freed = 0
    if manifest:
        freed = failed_bytes(manifest)
        carriers = settings.carriers(
            settings.engine(), settings.host(), settings.runtime(), manifest.engine, Deadline(None)
        )
        if error := delete(failed(manifest), carriers):
            raise error
    if manifest and only_checkpoints:
        rest = without(manifest, failed(manifest))
        if last:
            file.write(rest)
        else:
            history.keep(rest)
    else:
        if last:
            file.remove()
            evidence_file.prune(state, ())
        with suppress(DrainerError):
            history.forget(drain_id)
    return freed
