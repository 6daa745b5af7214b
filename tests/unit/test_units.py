"""The units as systemd itself reads them, and as people read them."""

import subprocess
from pathlib import Path

import pytest

from drainer.cli.wiring import GRACE
from drainer.config.model import LONGEST_DRAIN, Config
from drainer.errors import ExitCode
from drainer.host import ahead
from drainer.runtime import guard
from drainer.units import (
    AHEAD_UNIT,
    DRAIN_UNIT,
    FILES,
    GUARD_SHUTDOWN_UNIT,
    GUARD_UNIT,
    RESUME_UNIT,
    UNITS,
    is_ours,
    render,
    template,
)

PROGRAM = Path("/usr/bin/env")
FIREWALLS = ("nftables.service", "netfilter-persistent.service")
RULES = f"/var/lib/drainer/{guard.RULES}"
RESTORES_RULES = f"exec iptables-restore --wait=20 --noflush {RULES}"

EXPOSURE = 90
"""What `systemd-analyze security` may find of ten points, in tenths; it weighs what is not here."""
LOCKS = ("CapabilityBoundingSet=", "NoNewPrivileges=", "NotifyAccess=")


def settings(unit: str) -> dict[str, str]:
    lines = (line.partition("=") for line in template(unit).splitlines())
    return {key: value for key, equals, value in lines if equals and not key.startswith("#")}


def seconds(unit: str, key: str) -> int:
    return int(settings(unit)[key])


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    paths = [tmp_path / unit for unit in FILES]
    for path in paths:
        path.write_text(render(path.name, PROGRAM))
    # Without the option unknown keys are no error.
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, paths)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    except FileNotFoundError:
        pytest.fail("systemd-analyze is needed to check the units: install the package systemd")
    assert (result.returncode, result.stderr) == (0, "")


def test_systemd_would_have_found_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / DRAIN_UNIT
    path.write_text(render(DRAIN_UNIT, PROGRAM).replace("KillMode=", "KilMode="))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=50).returncode != 0


def exposure(path: Path, threshold: int) -> tuple[int, str]:
    """Let systemd judge a unit; its status is 0 up to the threshold, in tenths."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    command += [f"--threshold={threshold}", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    return result.returncode, result.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_they_are_locked_down_as_far_as_criu_allows(tmp_path: Path, unit: str) -> None:
    path = tmp_path / unit
    path.write_text(render(unit, PROGRAM))
    status, report = exposure(path, EXPOSURE)
    assert status == 0, report
    lines = (line for line in path.read_text().splitlines() if not line.startswith(LOCKS))
    path.write_text("\n".join(lines) + "\n")
    status, report = exposure(path, EXPOSURE)
    assert status != 0, report


@pytest.mark.parametrize("unit", UNITS)
def test_what_criu_needs_for_a_dump_is_left_to_it(unit: str) -> None:
    lines = (line.partition("=") for line in template(unit).splitlines())
    taken = {
        cap for key, _, words in lines if key == "CapabilityBoundingSet" for cap in words.split()
    }
    assert taken
    needed = (
        *("ADMIN", "PTRACE", "RESOURCE", "CHROOT", "MODULE", "NICE"),
        *("SETUID", "SETGID", "SETPCAP", "KILL", "CHOWN", "FOWNER", "DAC_OVERRIDE", "MKNOD"),
        *("DAC_READ_SEARCH", "NET_ADMIN", "NET_RAW", "MAC_ADMIN", "AUDIT_CONTROL", "BPF"),
    )
    names = {f"CAP_{word}" for word in needed} | {f"CAP_SYS_{word}" for word in needed}
    assert not {cap.removeprefix("~") for cap in taken} & names


def test_the_budgets_end_before_systemd_loses_patience() -> None:
    drain, resume = Config().drain.budget, Config().resume.budget
    limit = seconds(DRAIN_UNIT, "TimeoutStopSec")
    assert drain + 30 <= limit <= 30 * 60
    # What a drain puts the limit off to is within it, and even after a SIGTERM at the limit, which
    # gives TimeoutStopSec= once more, the reboot is not forced (JobTimeoutSec= of reboot.target).
    assert drain + GRACE <= limit
    assert limit + GRACE < limit + limit < 30 * 60
    assert LONGEST_DRAIN + GRACE + limit < 30 * 60
    assert resume + 30 <= seconds(RESUME_UNIT, "TimeoutStartSec")


@pytest.mark.parametrize("unit", UNITS)
def test_nothing_ties_a_unit_to_dockers_restarts(unit: str) -> None:
    found = settings(unit)
    assert not {"Requires", "Requisite", "BindsTo", "PartOf", "Upholds"} & found.keys()
    assert {"docker.service", "docker.socket", "containerd.service"} <= set(found["After"].split())


@pytest.mark.parametrize("unit", UNITS)
def test_nothing_brings_a_seccomp_filter_or_hides_proc(unit: str) -> None:
    harmful = {
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "PrivateDevices",
        "PrivateTmp",
        "ProtectClock",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "RestrictAddressFamilies",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "SystemCallArchitectures",
        "SystemCallFilter",
    }
    assert not harmful & settings(unit).keys()


def test_the_drain_unit_stays_active_and_always_becomes_so() -> None:
    found = settings(DRAIN_UNIT)
    assert found["RemainAfterExit"] == "yes"
    assert Path(found["ExecStart"]).exists()
    assert not [key for key in found if key.startswith(("Condition", "Assert"))]


def test_a_resume_is_stopped_before_the_drain_and_can_be_started_again() -> None:
    found = settings(RESUME_UNIT)
    assert DRAIN_UNIT in found["After"].split()
    assert "RemainAfterExit" not in found


def test_a_resume_is_tried_again_without_end_where_a_mended_host_would_help() -> None:
    found = settings(RESUME_UNIT)
    assert found["Restart"] == "on-failure"
    assert found["StartLimitIntervalSec"] == "0"
    never = found["RestartPreventExitStatus"].split()
    ended = {ExitCode.OK, ExitCode.NO_MANIFEST}
    again = {code for code in ExitCode if str(code.value) not in never} - ended
    assert again == {
        *(ExitCode.LOCKED, ExitCode.HOST_INCAPABLE, ExitCode.STORAGE),
        # So it ends at TimeoutStartSec=, which systemd checks after the exit code.
        ExitCode.TERMINATED,
    }


def test_what_reads_ahead_waits_for_nothing_of_docker_and_may_do_nothing_but_read() -> None:
    found = settings(AHEAD_UNIT)
    assert not {"After", "Requires", "BindsTo", "PartOf", "Before", "Conflicts"} & found.keys()
    assert AHEAD_UNIT in settings(RESUME_UNIT)["Wants"].split()
    assert found["CapabilityBoundingSet"] == "CAP_DAC_READ_SEARCH"
    assert found["ProtectSystem"] == "strict"
    assert f"/run/{found['RuntimeDirectory']}" == str(ahead.DIRECTORY)
    assert "WantedBy" not in found


def test_packets_are_guarded_before_there_is_a_network_and_after_other_rules() -> None:
    found = settings(GUARD_UNIT)
    assert "network-pre.target" in found["Before"].split()
    assert found["Wants"] == "network-pre.target"
    assert set(found["After"].split()) == {"local-fs.target", *FIREWALLS}
    assert found["ConditionPathExists"] == RULES
    assert RESTORES_RULES in found["ExecStart"]


def test_packets_are_guarded_when_other_rules_are_gone_at_a_shutdown() -> None:
    found = settings(GUARD_SHUTDOWN_UNIT)
    assert set(found["Before"].split()) == {"firewalld.service", "shutdown.target", *FIREWALLS}
    assert found["RemainAfterExit"] == "yes"
    assert RESTORES_RULES in found["ExecStop"]
    assert f"test ! -e {RULES} ||" in found["ExecStop"]


@pytest.mark.parametrize("unit", [GUARD_UNIT, GUARD_SHUTDOWN_UNIT])
def test_no_guard_waits_for_what_may_wait_for_the_network(unit: str) -> None:
    # systemd would break such a circle somewhere, at every boot.
    found = settings(unit)
    assert not {"RequiresMountsFor", "Requires", "BindsTo", "WantedBy"} & found.keys()
    assert found["DefaultDependencies"] == "no"
    assert found["Conflicts"] == "shutdown.target"
    assert unit in settings(RESUME_UNIT)["Wants"].split()


@pytest.mark.parametrize("unit", FILES)
def test_a_rendered_unit_is_recognised_until_it_is_changed(unit: str) -> None:
    content = render(unit, PROGRAM)
    assert is_ours(content)
    assert "@DRAINER@" not in content
    assert str(PROGRAM) in content
    assert is_ours(render(unit, Path("/opt/other/drainer")))
    assert not is_ours(content + "Nice=5\n")
    assert not is_ours(content.partition("\n")[2])
    assert not is_ours("")
