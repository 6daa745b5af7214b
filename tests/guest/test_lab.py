"""The lab itself: what the other tests on real hosts take for granted."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.guest.conftest import HostFactory
from tests.lab.errors import CommandError, DeadlineError, MachineDiedError

pytestmark = pytest.mark.suites("forky")


def test_host_is_stock_and_answers(new_bare_host: HostFactory, tmp_path: Path) -> None:
    host = new_bare_host()

    assert host.output("systemctl is-system-running") == "running"
    assert host.output("docker info -f '{{.ExperimentalBuild}}'") == "false"
    assert host.run("test -e /etc/docker/daemon.json", check=False).status == 1
    host.run("criu check")
    with pytest.raises(CommandError, match="exit status 3: exit 3"):
        host.run("exit 3")
    with pytest.raises(DeadlineError):
        host.run("sleep 60", timeout=1)

    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "file").write_bytes(bytes(range(256)) * 5000)
    host.copy_to(tree, "/root/copied here")
    host.copy_to(tree / "below" / "file", "/root/other/file")
    host.run("cmp '/root/copied here/below/file' /root/other/file")
    host.copy_from("/root/other/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tree / "below" / "file").read_bytes()


def test_hosts_side_by_side_lose_power_alone(new_bare_host: HostFactory, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: new_bare_host(), range(2))
    first_boot, others_boot = one.boot_id(), other.boot_id()

    one.run("echo flushed >/root/flushed && sync && echo lost >/root/lost")
    one.power_cut()

    assert one.output("cat /root/flushed") == "flushed"
    assert one.run("grep -q lost /root/lost", check=False).status != 0
    assert one.boot_id() not in {first_boot, others_boot}
    assert other.boot_id() == others_boot
    assert other.run("test -e /root/flushed", check=False).status == 1

    one.collect(tmp_path)
    with pytest.raises(MachineDiedError, match="QEMU is not running"):
        other.run("echo o >/proc/sysrq-trigger; sleep 60")
    assert "Linux version" in (tmp_path / "console.txt").read_text()
    assert "docker.service" in (tmp_path / "journal.txt").read_text()
