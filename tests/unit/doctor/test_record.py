from dataclasses import replace
from pathlib import Path

import pytest

from drainer.doctor.record import NAME, failed_trials, remember
from drainer.doctor.trial import Trial
from drainer.model import Route
from drainer.store.files import StateDirectory
from tests.unit.rules.cases import ENGINE, HOST

RESTORED = Trial(Route.ENGINE, "bridge", True, dump_seconds=1.0)
FAILED = Trial(Route.RUNTIME, "bridge", False, "criu failed", dump_seconds=1.0)
UNTRIED = Trial(Route.RUNTIME, "bridge", False, "the budget ended before it")


def test_a_failed_trial_counts_until_something_is_another_one(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    assert failed_trials(directory, HOST, ENGINE) == ()
    remember(directory, (RESTORED, FAILED), HOST, ENGINE)
    assert failed_trials(directory, HOST, ENGINE) == ("runtime",)
    assert failed_trials(directory, replace(HOST, kernel="6.13"), ENGINE) == ()
    assert failed_trials(directory, HOST, replace(ENGINE, version="28.5.2")) == ()
    remember(directory, (RESTORED, UNTRIED), HOST, ENGINE)
    assert failed_trials(directory, HOST, ENGINE) == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"versions": 1, "failed": 2}', "\xff"])
def test_a_damaged_record_says_nothing(tmp_path: Path, text: str) -> None:
    directory = StateDirectory(tmp_path / "state")
    directory.write(NAME, text.encode("latin-1"))
    assert failed_trials(directory, HOST, ENGINE) == ()
