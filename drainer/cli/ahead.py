"""What `drainer read-ahead` does."""

from drainer.cli import output
from drainer.cli.wiring import Settings
from drainer.deadline import Deadline
from drainer.reading_ahead import read_ahead


def run(settings: Settings) -> None:
    """Read the checkpoints that wait for a resume, until one begins."""
    file = settings.manifest_file()
    if not file.exists or not (manifest := file.read()).pending:
        output.say("no drain waits for a resume: nothing to read")
        return
    engine, host = settings.engine(), settings.host()
    runtime = settings.runtime()
    carriers = settings.carriers(engine, host, runtime, manifest.engine, Deadline(None))
    free = host.places(manifest.engine, str(settings.state_dir)).memory
    # The other half is for what is restored.
    room = None if free is None else free // 2
    count = read_ahead(manifest, host, carriers, room, host.ahead_has_ended)
    output.say(f"checkpoints read ahead: {count}")
