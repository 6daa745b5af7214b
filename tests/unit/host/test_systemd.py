import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from drainer.host.run import MISSING, TIMED_OUT, Result, Runner
from drainer.host.systemd import notify, parse_jobs, shutting_down


def answers(results: Mapping[str, Result]) -> Runner:
    def runner(arguments: Sequence[str], timeout: float) -> Result:
        assert arguments[0] == "systemctl"
        assert timeout == 15
        return results[arguments[1]]

    return runner


REBOOT = """\
2201 drainer-drain.service   stop  running
2190 reboot.target           start waiting
2203 shutdown.target         start waiting
"""


@pytest.mark.parametrize(
    ("state", "jobs", "expected"),
    [
        (Result(1, "stopping\n"), Result(0, REBOOT), "reboot"),
        (Result(1, "stopping\n"), Result(0, REBOOT.replace("reboot", "poweroff")), "poweroff"),
        (Result(1, "stopping\n"), Result(0, REBOOT.replace("reboot", "halt")), "halt"),
        (Result(1, "stopping\n"), Result(0, REBOOT.replace("reboot", "kexec")), "kexec"),
        (Result(1, "stopping\n"), Result(0, REBOOT.replace("reboot", "soft-reboot")), ""),
        (Result(1, "stopping\n"), Result(0, ""), ""),
        (Result(1, "degraded\n"), Result(0, REBOOT), ""),
        (Result(0, "running\n"), Result(0, REBOOT), ""),
        (Result(MISSING), Result(MISSING), ""),
        (Result(1, "stopping\n"), Result(TIMED_OUT), ""),
    ],
)
def test_only_a_real_shutdown_counts(state: Result, jobs: Result, expected: str) -> None:
    assert shutting_down(answers({"is-system-running": state, "list-jobs": jobs})) == expected


def test_a_stop_job_of_a_target_is_no_shutdown() -> None:
    assert parse_jobs("7 reboot.target stop waiting\n8 x.service start waiting\n\n") == ""


@pytest.mark.parametrize("abstract", [False, True])
def test_a_status_reaches_systemd_as_one_line(tmp_path: Path, abstract: bool) -> None:
    address = f"\0{tmp_path}/s" if abstract else f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(5)
        notify("web\nREADY=1\x1b[0m", {"NOTIFY_SOCKET": address.replace("\0", "@")})
        assert listener.recv(4096) == b"STATUS=web\\nREADY=1\\x1b[0m"


@pytest.mark.parametrize(
    "address", ["", "relative", "/nonexistent/socket", "@nobody-listens", "/" + "x" * 300, "/a\0b"]
)
def test_a_status_that_nobody_wants_is_no_error(address: str) -> None:
    notify("hello", {"NOTIFY_SOCKET": address} if address else {})


@pytest.mark.parametrize(
    ("extend", "line"), [(585.5, "585500000"), (0.0, "0"), (-3.0, "0"), (1e-9, "0")]
)
def test_a_time_limit_can_be_put_off(tmp_path: Path, extend: float, line: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.settimeout(5)
        notify("web\n", {"NOTIFY_SOCKET": f"{tmp_path}/s"}, extend)
        expected = f"STATUS=web\\n\nEXTEND_TIMEOUT_USEC={line}"
        assert listener.recv(4096).decode() == expected
