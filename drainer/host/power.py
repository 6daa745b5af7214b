"""Have systemd reboot the host, now or later, or think better of it."""

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path

from drainer.errors import EngineError, UsageError
from drainer.host.run import Runner
from drainer.text import printable

_SECONDS = 30.0
_WHEN = re.compile(r"\+[0-9]{1,5}|(?:[01]?[0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_NOBODY = 4294967295
"""What the kernel says of a process that no login has begun (audit_loginuid)."""
KEXEC_LOADED = Path("/sys/kernel/kexec_loaded")


def check_time(when: str) -> str:
    """Return a time that shutdown(8) takes, as `+m` or `hh:mm`. Raises `UsageError`."""
    if not _WHEN.fullmatch(when):
        raise UsageError(
            f"{printable(when)!r} is no time of day such as 23:30 and no number of minutes as +5"
        )
    return when


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
