"""One ssh connection to a guest, kept open: a new handshake costs an emulated CPU seconds."""

import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import CommandError, ConnectionLostError, DeadlineError

_LOST = 255
# Relative to the directory: the path of a socket may have 107 bytes only.
_SOCKET = "ssh"
_BANNER_SECONDS = 10.0
_LOGIN_SECONDS = 60.0
_END_SECONDS = 2.0


@dataclass(frozen=True)
class Result:
    """What a command in the guest answered."""

    status: int
    stdout: str
    stderr: str


class Connection:
    """A connection to `root@127.0.0.1:port`, closed until `open`; `directory` gets its socket."""

    def __init__(self, key: Path, directory: Path) -> None:
        self._key = key
        self._directory = directory
        self._port = 0
        self._master: subprocess.Popen[bytes] | None = None

    def open(self, port: int, timeout: float, check: Callable[[], None]) -> None:
        """Connect as soon as the guest answers. `check` is called between tries and may raise."""
        self.close()
        self._port = port
        deadline = time.monotonic() + timeout
        while not (_greets(port) and self._login(check)):
            check()
            if time.monotonic() > deadline:
                raise DeadlineError(f"no ssh after {timeout:.0f} s")
            time.sleep(0.3)

    def close(self) -> None:
        """Drop the connection, if there is one."""
        if self._master is not None:
            self._master.kill()
            self._master.wait()
            self._master = None
            self._socket.unlink(missing_ok=True)

    def run(self, command: str, *, timeout: float, data: bytes | None = None) -> Result:
        """Run a shell command and wait for it. `data` goes to its standard input.

        Raises DeadlineError after `timeout` seconds (the command may go on) and ConnectionLostError
        when the connection broke.
        """
        try:
            done = subprocess.run(
                [*self.command(), command],
                input=data,
                stdin=subprocess.DEVNULL if data is None else None,
                capture_output=True,
                timeout=timeout,
                check=False,
                cwd=self._directory,
            )
        except subprocess.TimeoutExpired:
            raise DeadlineError(f"no end after {timeout:.0f} s: {command}") from None
        stderr = done.stderr.decode(errors="replace")
        if done.returncode == _LOST and not self._survived():
            raise ConnectionLostError(f"connection lost: {command}\n{stderr}")
        return Result(done.returncode, done.stdout.decode(errors="replace"), stderr)

    def pipe(self, producer: list[str], consumer: list[str], timeout: float) -> None:
        """Run two commands, the first one's output into the second one, one of them over ssh.

        Paths on this machine must be absolute.
        """
        here = self._directory
        with subprocess.Popen(producer, stdout=subprocess.PIPE, cwd=here) as source:
            try:
                done = subprocess.run(
                    consumer,
                    stdin=source.stdout,
                    capture_output=True,
                    timeout=timeout,
                    check=False,
                    cwd=here,
                )
            except subprocess.TimeoutExpired:
                source.kill()
                raise DeadlineError(f"copy not done after {timeout:.0f} s") from None
            if source.stdout:
                source.stdout.close()
            if done.returncode or source.wait():
                output = done.stderr.decode(errors="replace")
                raise CommandError(
                    " ".join((*producer, "|", *consumer)), done.returncode, "", output
                )

    def command(self) -> list[str]:
        """Return ssh's argument list for `pipe`, to which a command may be added."""
        return [*self._base(), "-o", f"ControlPath={_SOCKET}", "root@127.0.0.1"]

    def by_hand(self) -> str:
        """Return the command a person may use, independent of the connection kept here."""
        return " ".join([*self._base(), "root@127.0.0.1"])

    @property
    def _socket(self) -> Path:
        return self._directory / _SOCKET

    def _base(self) -> list[str]:
        options = (
            "BatchMode=yes",
            "Ciphers=chacha20-poly1305@openssh.com",
            "ConnectTimeout=30",
            "GSSAPIAuthentication=no",
            "IdentitiesOnly=yes",
            "KexAlgorithms=curve25519-sha256",
            "LogLevel=ERROR",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        )
        settings = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "none", "-i", str(self._key), "-p", str(self._port), *settings]

    def _survived(self) -> bool:
        """Tell a command's own status 255 from a broken connection, whose end comes a bit later."""
        if self._master is not None:
            with suppress(subprocess.TimeoutExpired):
                self._master.wait(_END_SECONDS)
        return self._alive()

    def _alive(self) -> bool:
        return self._master is not None and self._master.poll() is None

    def _login(self, check: Callable[[], None]) -> bool:
        self._socket.unlink(missing_ok=True)
        self._master = subprocess.Popen(
            [*self._base(), "-M", "-N", "-S", _SOCKET, "root@127.0.0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self._directory,
        )
        deadline = time.monotonic() + _LOGIN_SECONDS
        while self._alive() and time.monotonic() < deadline:
            if self._socket.exists():
                return True
            check()
            time.sleep(0.05)
        self.close()
        return False


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_BANNER_SECONDS) as probe:
            return probe.recv(4) == b"SSH-"
    except OSError:
        return False
