"""What can go wrong with a disposable host."""


class LabError(Exception):
    """The lab itself failed, not what is tested in it."""


class MachineDiedError(LabError):
    """QEMU ended although nobody asked it to. The message carries its standard error."""


class DeadlineError(LabError):
    """A wait ended without what was waited for."""


class ConnectionLostError(LabError):
    """The ssh connection broke; the command may or may not have run."""


class CommandError(LabError):
    """A command in the guest ended with a status other than 0."""

    def __init__(self, command: str, status: int, stdout: str, stderr: str) -> None:
        super().__init__(f"exit status {status}: {command}\n{stdout}{stderr}")
        self.command = command
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
