"""The Debian package on a bare host: installed, upgraded under running containers, removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest.conftest import CHECKOUT, HostFactory
from tests.lab.host import Host
from tests.lab.recipe import RECIPES
from tests.lab.workloads import number_log, numbers, running, start_all

pytestmark = pytest.mark.suites("forky")

UNITS = "drainer-drain.service drainer-resume.service"
STARTED = "docker inspect -f '{{.State.StartedAt}} {{.State.Pid}}' numbers"


def package(suite: str, directory: Path, revision: str) -> Path:
    """Build the package for a suite's hosts."""
    target = directory / revision
    subprocess.run(
        [sys.executable, CHECKOUT / ".packages" / "build.py", RECIPES[suite].python, target],
        env={**os.environ, "DRAINER_PACKAGE_REVISION": revision},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (found,) = target.glob(f"drainer_*-{revision}_*.deb")
    return found


def install(host: Host, file: Path) -> None:
    host.run("cat >/root/drainer.deb", 60, data=file.read_bytes())
    host.run("dpkg -i /root/drainer.deb", 300)


def test_a_package_is_installed_upgraded_and_removed(
    new_bare_host: HostFactory, suite: str, tmp_path: Path
) -> None:
    host = new_bare_host()
    install(host, package(suite, tmp_path, "1"))
    assert host.run(f"systemctl is-enabled {UNITS}", check=False).stdout.split() == ["disabled"] * 2
    assert "units" in host.output("drainer doctor", 120)
    host.run("drainer install --enable", 60)
    assert host.output(f"systemctl is-enabled {UNITS}").split() == ["enabled"] * 2
    assert host.run("test -e /usr/local/lib/systemd/system", check=False).status == 1

    start_all(host, (numbers("numbers", "--restart always"),))
    before = host.output(STARTED)
    install(host, package(suite, tmp_path, "2"))
    assert host.output("dpkg-query -W -f '${Version}' drainer").endswith("-2")
    assert host.output(f"systemctl is-enabled {UNITS}").split() == ["enabled"] * 2
    assert host.output("systemctl is-active drainer-drain.service") == "active"
    assert host.output(STARTED) == before
    assert host.run("test -e /var/lib/drainer/manifest.yaml", check=False).status == 1

    host.reboot("drainer reboot --yes --reason 'try the package'", 900)
    assert running(host) == {"numbers"}
    told = host.output("cat /run/motd.d/drainer")
    assert told == "drainer: carried over the last reboot: 1 restored. `drainer report`"
    assert "Asked for: try the package" in host.output("drainer report", 60)
    explained = host.output("journalctl -x -b -u drainer-resume --no-pager", 60)
    assert "Container numbers was restored" in explained

    host.run("drainer drain", 300)
    refused = host.run("dpkg -r drainer", 120, check=False)
    assert refused.status != 0
    assert "wait to be brought back" in refused.stderr
    host.run("drainer resume", 300)
    assert running(host) == {"numbers"}
    log = number_log(host, "numbers")
    assert log == list(range(1, len(log) + 1))
    assert len(host.output("drainer list", 60).splitlines()) == 3

    host.run("dpkg -r drainer", 120)
    assert host.output("systemctl list-unit-files --no-legend 'drainer*' || true") == ""
    assert host.run("test -e /usr/lib/drainer", check=False).status == 1
    assert host.run("test -e /var/lib/drainer/manifest.yaml", check=False).status == 0
    host.run("dpkg -P drainer", 120)
    assert host.run("test -e /var/lib/drainer -o -e /etc/drainer", check=False).status == 1
    assert running(host) == {"numbers"}
