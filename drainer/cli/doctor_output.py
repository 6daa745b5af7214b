"""How a diagnosis and its trials are shown."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from drainer.cli import output
from drainer.doctor.check import CheckVerdict
from drainer.doctor.checks import Diagnosis
from drainer.doctor.trial import Trial
from drainer.text import size


def show(
    diagnosis: Diagnosis,
    trials: Sequence[Trial] | None,
    left_behind: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Print everything; `trials` is None when none was asked for or none is possible."""
    if as_json:
        output.show_json(**_json(diagnosis, trials, left_behind))
        return
    output.show_table(
        ("CHECK", "VERDICT", "FOUND"), [(c.id, c.verdict, c.found) for c in diagnosis.checks]
    )
    _show_advice(diagnosis)
    output.line()
    output.line("What a reboot could carry:")
    for report in diagnosis.routes:
        output.show_item(report.route, report.summary)
    if trials is not None:
        output.line()
        _show_trials(trials)


def _show_advice(diagnosis: Diagnosis) -> None:
    said: set[str] = set()
    for check in diagnosis.checks:
        if check.verdict is CheckVerdict.OK or check.advice in said:
            continue
        if not said:
            output.line()
            output.line("What to do about it:")
        said.add(check.advice)
        output.show_item(check.id, f"{check.meaning} {check.advice}")


def _show_trials(trials: Sequence[Trial]) -> None:
    output.show_table(
        ("ROUTE", "NETWORK", "DUMP", "RESTORE", "FROZEN", "SIZE", "RESULT"),
        [
            (
                trial.route,
                trial.network,
                _seconds(trial.dump_seconds),
                _seconds(trial.restore_seconds),
                _seconds(trial.frozen_seconds),
                size(trial.size) if trial.size else "-",
                "restored" if trial.restored else trial.reason,
            )
            for trial in trials
        ],
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _json(
    diagnosis: Diagnosis, trials: Sequence[Trial] | None, left_behind: Sequence[str]
) -> dict[str, Any]:
    facts = diagnosis.facts
    return {
        "can_carry": diagnosis.can_carry,
        "checks": [asdict(check) for check in diagnosis.checks],
        "routes": [
            {
                "route": report.route,
                "works": report.works,
                "networks": list(report.carried),
                "reasons": [asdict(finding) for finding in report.reasons],
            }
            for report in diagnosis.routes
        ],
        "host": asdict(facts.host),
        "engine": asdict(facts.engine) if facts.engine else None,
        "trials": None if trials is None else [asdict(trial) for trial in trials],
        "left_behind": list(left_behind),
    }
