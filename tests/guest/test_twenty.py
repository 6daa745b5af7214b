"""Many containers in one reboot."""

import json

import pytest

from tests.guest.suites import set_up
from tests.lab.host import Host
from tests.lab.workloads import number_log, numbers, policies, running, start_all

pytestmark = pytest.mark.suites("forky")

NAMES = tuple(f"n{number:02}" for number in range(20))
POLICIES = ("no", "always", "unless-stopped", "on-failure")


def test_twenty_containers_survive_one_reboot(module_host: Host, suite: str) -> None:
    host = module_host
    set_up(host, suite)
    start_all(host, tuple(numbers(n, f"--restart {POLICIES[i % 4]}") for i, n in enumerate(NAMES)))
    before = policies(host)
    host.reboot(timeout=1100)
    document = json.loads(host.output("drainer status --json", 120))
    states = {e["name"]: e["state"] for e in document["manifest"]["entries"]}
    assert states == dict.fromkeys(NAMES, "restored")
    assert running(host) == set(NAMES)
    assert policies(host) == before
    for name in NAMES:
        log = number_log(host, name)
        assert log == list(range(1, len(log) + 1)), name
