"""Run a program with a time limit, without a shell, and never raise."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MISSING = 127
"""Status of a program that could not be started, as a shell gives it."""
TIMED_OUT = 124
"""Status of a program that was killed at its limit, as timeout(1) gives it."""
_REAP_SECONDS = 1.0
_LONGEST = 1e6
"""Seconds that poll(2) waits at most, in round numbers: it takes 2**31 milliseconds."""
_LOOK_SECONDS = 0.5
"""How often it is asked whether it is to go on."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a program left behind. Output is decoded leniently: it is for reading, not for use."""

    status: int
    output: str = ""
    errors: str = ""


Runner = Callable[[Sequence[str], float], Result]
"""Runs an argument list within a number of seconds."""


def run(arguments: Sequence[str], timeout: float) -> Result:
    """Run a program in the C locale, with nothing on its stdin; `timeout` is in seconds.

    At the limit its whole process group is killed. A process that cannot be killed (in
    uninterruptible sleep) is left behind rather than waited for.
    """
    return run_with(arguments, timeout, b"")


def run_with(
    arguments: Sequence[str],
    timeout: float,
    data: bytes,
    stop: Callable[[], bool] = lambda: False,
    begun: Callable[[int], None] = lambda _pid: None,
) -> Result:
    """Run a program as `run` does, with `data` on its stdin, which it need not read.

    It is killed, as at the limit, once `stop` says so. `begun` is told its pid.
    """
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    try:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return Result(MISSING, "", str(error))
    begun(process.pid)
    end = time.monotonic() + timeout
    unsent: bytes | None = data
    while True:
        try:
            left = max(0.0, min(end - time.monotonic(), _LOOK_SECONDS))
            output, errors = process.communicate(unsent, left)
            break
        except subprocess.TimeoutExpired:
            unsent = None  # it goes on with what it was given at first
            if time.monotonic() < end and not stop():
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_REAP_SECONDS)
            return Result(TIMED_OUT, "", f"no answer within {timeout:g} s")
    return Result(process.returncode, _text(output), _text(errors))


def wait_for(process: "subprocess.Popen[bytes]", timeout: float) -> int:
    """Wait as `Popen.wait` does, which looks 20 times a second: this sees the end at once."""
    end = time.monotonic() + timeout
    if process.poll() is not None:
        return process.returncode
    # No descriptor is left, or the interpreter was built for a kernel without such handles.
    with contextlib.suppress(OSError, AttributeError):
        handle = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll(min(max(timeout, 0.0), _LONGEST) * 1000)
        finally:
            os.close(handle)
    return process.wait(max(0.0, end - time.monotonic()))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
