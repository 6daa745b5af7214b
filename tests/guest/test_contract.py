"""What the fake engine promises holds for Docker: the same contract tests, run in the guest."""

from pathlib import Path

import pytest

from tests.guest.conftest import HostFactory

pytestmark = [pytest.mark.suites(long=("trixie",)), pytest.mark.timeout(1800)]

TESTS = Path(__file__).parents[1] / "contract"


def test_docker_keeps_the_contract(new_host: HostFactory) -> None:
    host = new_host(experimental=True)
    host.copy_to(TESTS, "/root/tests/contract")
    host.run("touch /root/tests/__init__.py && /opt/drainer/bin/pip install -q pytest", 300)
    result = host.run(
        "cd /root && DRAINER_CONTRACT_DOCKER=1"
        " /opt/drainer/bin/python -m pytest -q -p no:cacheprovider -k docker tests/contract",
        1500,
        check=False,
    )
    assert result.status == 0, result.stdout[-6000:]
