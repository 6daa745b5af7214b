"""A short round of `tests/campaign`: a host that breaks in mid-drain and in mid-resume."""

import pytest

from tests.guest.suites import set_up
from tests.lab.campaign import Round, measure, play
from tests.lab.host import Host

pytestmark = pytest.mark.suites("forky")

ROUNDS = (
    Round(0, "resume", "power cut", "reboot", 0.9),
    Round(1, "drain", "CRIU hung", "resume", 0.3),
)


@pytest.fixture(scope="module")
def host(module_host: Host, suite: str) -> Host:
    set_up(module_host, suite)
    return module_host


@pytest.fixture(scope="module")
def seconds(host: Host) -> dict[str, float]:
    return measure(host)


@pytest.mark.parametrize("this", ROUNDS, ids=lambda r: f"{r.fault} in {r.phase}".replace(" ", "-"))
def test_nothing_is_lost(host: Host, seconds: dict[str, float], this: Round) -> None:
    findings, in_time = play(host, this, seconds)
    assert findings.well, findings
    assert in_time
