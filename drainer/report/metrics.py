"""A report as metrics, for the textfile collector of node_exporter. Pure."""

from drainer.manifest import State
from drainer.report.facts import Passage, Phase, Report
from drainer.text import printable

_Sample = tuple[str, float | None]


def metrics(report: Report) -> str:
    """Return the report in the text format of Prometheus, without what is not known."""
    manifest = report.manifest
    counts = manifest.counts
    families = (
        ("drain_timestamp_seconds", "When the last drain began.", [("", report.began)]),
        ("pending", "Whether something waits for a resume.", [("", float(manifest.pending))]),
        (
            "containers",
            "Containers of the last drain, by what became of them.",
            [(_labels(state=state), float(counts.get(state, 0))) for state in State],
        ),
        ("drain_seconds", "How long the drain took.", [("", report.drain_seconds)]),
        ("between_seconds", "From the drain's end to the resume.", [("", report.between_seconds)]),
        ("resume_seconds", "How long the resume took.", [("", report.resume_seconds)]),
        ("checkpoint_bytes", "Size of all checkpoints.", [("", float(report.size))]),
        (
            "container_away_seconds",
            "For how long nobody could use a container.",
            [(_of(p), p.away) for p in report.passages],
        ),
        (
            "container_dump_seconds",
            "How long the dump of a container took.",
            [(_of(p), p.seconds(Phase.DUMP)) for p in report.passages],
        ),
    )
    return "\n".join(line for family in families for line in _family(*family))


def _of(passage: Passage) -> str:
    """Write the labels of a container: two of a manifest may have had the same name."""
    return _labels(name=passage.entry.name, id=passage.entry.id[:12])


def _family(name: str, words: str, samples: list[_Sample]) -> list[str]:
    known = [(labels, value) for labels, value in samples if value is not None]
    head = [f"# HELP drainer_{name} {words}", f"# TYPE drainer_{name} gauge"]
    return [*head, *(f"drainer_{name}{labels} {value:.15g}" for labels, value in known)]


def _labels(**labels: str) -> str:
    """Write labels; what Prometheus has no escape for is escaped as everywhere."""
    pairs = (f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _quoted(value: str) -> str:
    return printable(value, 200).replace("\\", "\\\\").replace('"', '\\"')
