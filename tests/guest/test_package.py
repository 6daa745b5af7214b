"""A new user's path on a bare host, by the words of the docs; then the life of the packages."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documented import commands, files
from tests.guest.archive import take_criu_off
from tests.guest.conftest import CHECKOUT, HostFactory
from tests.lab.host import Host
from tests.lab.recipe import RECIPES
from tests.lab.workloads import number_log, numbers, running, start_all

pytestmark = pytest.mark.suites("forky")

UNITS = "drainer-drain.service drainer-resume.service"
STARTED = "docker inspect -f '{{.State.StartedAt}} {{.State.Pid}}' numbers"
# The docs name what is in a registry, and this host has its own.
IMAGES = ("redis", "nginx", "busybox")
SHOP = """sh -c 'trap "echo told" HUP; while :; do sleep 0.2; done'"""


@pytest.fixture(scope="module")
def host(bare_host_of_module: HostFactory) -> Host:
    host = bare_host_of_module()
    for name in IMAGES:
        host.run(f"docker tag lab/{name} {name}")
    take_criu_off(host)
    return host


@pytest.fixture(scope="module")
def packages(suite: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both revisions of the packages; return the directory with one for each."""
    directory = tmp_path_factory.mktemp("packages")
    for revision in ("1", "2"):
        subprocess.run(
            [
                *(sys.executable, CHECKOUT / ".packages" / "build.py"),
                *(RECIPES[suite].python, directory / revision),
            ],
            env={**os.environ, "DRAINER_PACKAGE_REVISION": revision},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return directory


def put(host: Host, packages: Path, pattern: str) -> str:
    """Copy a package to root's home; return its name."""
    (found,) = packages.glob(pattern)
    host.copy_to(found, f"/root/{found.name}")
    return found.name


def type_in(host: Host, command: str) -> str:
    """Run what the docs say as they say it; answer yes where a person would be asked."""
    if command.startswith("drainer reboot"):
        asked = f"printf 'y\\n' | script -qec {shlex.quote(command)} /root/typescript"
        host.reboot(asked, 900)
        return host.output("cat /root/typescript")
    return host.output(f"cd /root && {command}", 600)


def test_the_tutorial(host: Host, packages: Path) -> None:
    package = put(host, packages, "1/drainer_*.deb")
    typed = commands("docs/tutorial.md")
    assert f"apt install criu ./{package}" in typed
    printed = {command: type_in(host, command) for command in typed}
    verdicts = printed["drainer doctor --live"]
    assert " problem " not in verdicts
    assert verdicts.splitlines()[-1].split()[-1] == "restored"
    assert "Reboot now?" in printed['drainer reboot --reason "kernel 7.2.12"']
    assert "\nContainers: 3 restored, 1 left\n" in printed["drainer report"]
    assert printed["docker exec redis redis-cli get greeting"] == "hello"
    told = host.output("cat /run/motd.d/drainer")
    assert told in (CHECKOUT / "docs/tutorial.md").read_text()
    log = number_log(host, "counter")
    assert log == list(range(1, len(log) + 1))


def test_units_of_a_package_are_where_packages_have_theirs(host: Host) -> None:
    assert host.output(f"systemctl is-enabled {UNITS}").split() == ["enabled"] * 2
    assert host.run("test -e /usr/local/lib/systemd/system", check=False).status == 1


def test_what_the_doctor_advises_mends_it(host: Host) -> None:
    host.run("dpkg -r criu", 60)
    sick = host.run("drainer doctor", 120, check=False)
    assert sick.status == 13
    assert "\ncriu             problem  " in sick.stdout
    assert "`apt install criu`" in " ".join(sick.stdout.split())
    type_in(host, "apt install criu")
    assert " problem " not in host.output("drainer doctor", 120)


def test_the_how_to(host: Host) -> None:
    given = files("docs/howto.md") | files("docs/hooks.md") | files("docs/configuration.md")
    assert len(given) == 3
    for path, text in given.items():
        host.write(path, text, "644" if path.endswith(".yaml") else "755")
    host.run("mkdir -p /var/lib/prometheus/node-exporter")
    host.run(f"docker rm -f shell && docker run -d --name shop-app busybox {SHOP}")
    last = host.output(
        "drainer list --json | python3 -I -c 'import json, sys; print("
        'json.load(sys.stdin)["drains"][0]["drain_id"])\''
    )
    printed = {}
    for command in commands("docs/howto.md"):
        printed[command] = type_in(host, command.replace("20261124", last))
    assert "| counter | restored |" in printed["drainer report --format markdown"]
    assert "Asked for: kernel 6.12.57, CHG-4711" in host.output("drainer report", 60)
    assert printed["drainer config validate"] == "/etc/drainer/config.yaml: no mistake"
    assert "Container counter was restored" in printed["journalctl -x -u drainer-resume"]
    assert "told" in host.output("docker logs shop-app").splitlines()
    numbers_of = host.output("cat /var/lib/prometheus/node-exporter/drainer.prom").splitlines()
    assert "drainer_pending 0" in numbers_of
    host.run("rm -r /etc/drainer/config.yaml /etc/drainer/hooks.d/*")


def test_an_upgrade_touches_nothing_that_runs(host: Host, packages: Path) -> None:
    host.run("docker rm -f $(docker ps -aq)", 60)
    start_all(host, (numbers("numbers", "--restart always"),))
    before = host.output(STARTED)
    drains = host.output("drainer list", 60)
    type_in(host, f"apt install ./{put(host, packages, '2/drainer_*.deb')}")
    assert host.output("dpkg-query -W -f '${Version}' drainer").endswith("-2")
    assert host.output(f"systemctl is-enabled {UNITS}").split() == ["enabled"] * 2
    assert host.output("systemctl is-active drainer-drain.service") == "active"
    assert host.output(STARTED) == before
    assert host.output("drainer list", 60) == drains


def still_waits(host: Host, remove: str) -> None:
    """Try to remove a package while a container waits to be brought back, and bring it back."""
    host.run("drainer drain", 300)
    refused = host.run(remove, 120, check=False)
    assert refused.status != 0
    assert "wait to be brought back" in refused.stderr
    host.run("drainer resume", 300)
    assert running(host) == {"numbers"}
    log = number_log(host, "numbers")
    assert log == list(range(1, len(log) + 1))


def nothing_is_left(host: Host) -> None:
    assert host.output("systemctl list-unit-files --no-legend 'drainer*' || true") == ""
    assert host.run("test -e /usr/lib/drainer", check=False).status == 1
    assert running(host) == {"numbers"}


def test_it_is_removed_only_when_nothing_waits(host: Host) -> None:
    still_waits(host, "dpkg -r drainer")
    host.run("dpkg -r drainer", 120)
    nothing_is_left(host)
    assert host.run("test -e /var/lib/drainer/manifest.yaml", check=False).status == 0
    host.run("dpkg -P drainer", 120)
    assert host.run("test -e /var/lib/drainer -o -e /etc/drainer", check=False).status == 1


def test_the_rpm_is_installed_upgraded_and_removed(host: Host, packages: Path) -> None:
    # By rpm on Debian: its database knows of no Python, and of nothing else.
    rpm = "rpm --nodeps"
    type_in(host, f"{rpm} -i {put(host, packages, '1/drainer-*.rpm')}")
    assert "units" in host.output("drainer doctor", 120)
    host.run("drainer install --enable", 60)
    before = host.output(STARTED)
    type_in(host, f"{rpm} -U {put(host, packages, '2/drainer-*.rpm')}")
    assert host.output("rpm -q --qf '%{release}' drainer") == "2"
    assert host.output(f"systemctl is-enabled {UNITS}").split() == ["enabled"] * 2
    assert host.output("systemctl is-active drainer-drain.service") == "active"
    assert host.output(STARTED) == before
    still_waits(host, f"{rpm} -e drainer")
    assert "Containers: 1 restored" in host.output("drainer report", 60)
    host.run(f"{rpm} -e drainer", 120)
    nothing_is_left(host)
