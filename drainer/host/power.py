"""Have systemd reboot the host, now or later, or think better of it."""

import os
import pwd
import re
import time
from collections.abc import Mapping
from pathlib import Path

from drainer.errors import EngineError, UsageError
from drainer.host.run import Runner
from drainer.text import printable

_SECONDS = 30.0
_WHEN = re.compile(r"\+[0-9]{1,5}|(?:[01]?[0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_NOBODY = 4294967295
"""What the kernel says of a process that no login has begun (audit_loginuid)."""
SCHEDULED = Path("/run/systemd/shutdown/scheduled")
"""Where systemd-logind notes a shutdown that is scheduled (systemd logind-dbus.c)."""
KEXEC_LOADED = Path("/sys/kernel/kexec_loaded")


def check_time(when: str) -> str:
    """Return a time that shutdown(8) takes, as `+m` or `hh:mm`. Raises `UsageError`."""
    if not _WHEN.fullmatch(when):
        raise UsageError(
            f"{printable(when)!r} is no time of day such as 23:30 and no number of minutes as +5"
        )
    return when


def moment(when: str, now: float) -> float:
    """Return when a time is next that shutdown(8) takes, in seconds since 1970, as `now` is."""
    if when.startswith("+"):
        return now + 60 * int(when)
    hour, minute = map(int, when.split(":"))
    today = time.localtime(now)
    # mktime knows of nights in which the clocks change, and of days after a month's last.
    found, tomorrow = (
        time.mktime((today.tm_year, today.tm_mon, today.tm_mday + n, hour, minute, 0, 0, 0, -1))
        for n in (0, 1)
    )
    return found if found > now else tomorrow


def scheduled(file: Path = SCHEDULED) -> float | None:
    """Return when a shutdown is scheduled for, in seconds since 1970; None if that is not told."""
    try:
        found = re.search(r"^USEC=([0-9]{1,19})$", file.read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return None
    return int(found[1]) / 1_000_000 if found else None


def check_kexec(loaded: Path = KEXEC_LOADED) -> None:
    """Raise `UsageError` if no kernel is loaded that could be started without the firmware."""
    try:
        found = loaded.read_text().strip()
    except OSError:
        found = ""
    if found != "1":
        raise UsageError(
            "no kernel is loaded for kexec",
            "load one with `kexec -l`, or reboot without --kexec",
        )


def reboot(run: Runner, *, kexec: bool = False) -> None:
    """Reboot; returns as soon as systemd has begun. Raises `EngineError` if it refuses."""
    _ask(run, ["systemctl", "kexec" if kexec else "reboot"])


def schedule(run: Runner, when: str, words: str) -> None:
    """Reboot at a time, and tell those who are logged in. Raises `EngineError`."""
    _ask(run, ["shutdown", "--reboot", check_time(when), printable(f"drainer: {words}")])


def cancel(run: Runner) -> None:
    """Cancel a reboot that was scheduled; no error when there is none. Raises `EngineError`."""
    _ask(run, ["shutdown", "-c"])


def _ask(run: Runner, command: list[str]) -> None:
    result = run(command, _SECONDS)
    if result.status:
        words = printable((result.errors or result.output).strip() or "without a word")
        raise EngineError(f"`{command[0]}` has refused: {words}")


def who(variables: Mapping[str, str] = os.environ, proc: Path = Path("/proc/self")) -> str:
    """Name the user that asks: whose login this is, also behind sudo; empty if it is nobody's."""
    try:
        uid = int((proc / "loginuid").read_text())
    except (OSError, ValueError):
        uid = _NOBODY
    if uid == _NOBODY:
        return variables.get("SUDO_USER", "")
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
