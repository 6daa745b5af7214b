"""What `drainer status` does."""

from drainer.cli import manifest_output, output
from drainer.cli.wiring import Settings
from drainer.status import compare
from drainer.store import failed_drain


def run(settings: Settings, *, as_json: bool) -> None:
    """Show the manifest beside what Docker says now."""
    file = settings.manifest_file()
    failed = failed_drain.read(file.directory)
    if not as_json:
        manifest_output.show_failed_drain(failed, earlier=file.exists)
    manifest = file.read()
    rows = compare(manifest, settings.engine())
    if as_json:
        output.show_json(
            manifest=manifest_output.manifest_json(manifest),
            failed_drain=manifest_output.failed_drain_json(failed),
            docker={r.entry.id: {"state": r.docker, "policy_held": r.policy_held} for r in rows},
        )
    else:
        manifest_output.show_status(manifest, rows)
