"""QEMU's control socket, as far as a machine is frozen by it. See QEMU's QMP reference."""

import json
import os
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from tests.lab.errors import DeadlineError, MachineDiedError

_POLL = 0.2


def save(directory: Path, name: str, memory: Path, timeout: float) -> None:
    """Write the machine's memory and devices to a file, stop it there and end QEMU.

    The socket is `name` in the directory: its own path may have 107 bytes only. Raises
    DeadlineError, and MachineDiedError if QEMU could not do it.
    """
    deadline = time.monotonic() + timeout
    with _monitor(directory, name, timeout) as stream:
        _ask(stream, "migrate-set-parameters", {"max-bandwidth": 8 << 30})
        _ask(stream, "migrate", {"uri": f"exec:cat >{shlex.quote(str(memory))}"})
        while (state := _ask(stream, "query-migrate")["status"]) != "completed":
            if state in {"failed", "cancelled"}:
                raise MachineDiedError(f"QEMU did not save the guest: {state}")
            if time.monotonic() > deadline:
                raise DeadlineError(f"not saved after {timeout:.0f} s")
            time.sleep(_POLL)
        _ask(stream, "quit")


def limit_disk(directory: Path, name: str, rate: int, timeout: float = 10) -> None:
    """Let the first disk write so many bytes a second at most; 0 for as many as it can."""
    limits = dict.fromkeys(("bps", "bps_rd", "iops", "iops_rd", "iops_wr"), 0) | {"bps_wr": rate}
    with _monitor(directory, name, timeout) as stream:
        disk = _ask(stream, "query-block")[0]
        _ask(stream, "block_set_io_throttle", {"id": disk["qdev"], **limits})


@contextmanager
def _monitor(directory: Path, name: str, timeout: float) -> Iterator[BufferedRWPair]:
    """Give the control socket, ready for commands."""
    place = os.open(directory, os.O_PATH | os.O_CLOEXEC)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(f"/proc/self/fd/{place}/{name}")
        finally:
            os.close(place)
        with connection.makefile("rwb") as stream:
            stream.readline()
            _ask(stream, "qmp_capabilities")
            yield stream


def _ask(stream: BufferedRWPair, command: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - each command has an answer of its own
    request = {"execute": command} | ({"arguments": arguments} if arguments else {})
    stream.write(json.dumps(request).encode() + b"\n")
    stream.flush()
    while line := stream.readline():
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise MachineDiedError(f"QEMU refused {command}: {answer['error']}")
        if "return" in answer:
            return answer["return"]
    raise MachineDiedError(f"QEMU ended instead of answering {command}")
