"""Errors that end a command: each carries its exit code, a one-line message and a hint."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command. They are an interface: never renumbered."""

    OK = 0, "everything was done, or there was nothing to do"
    UNEXPECTED = 1, "an unexpected error; a defect of drainer"
    USAGE = 2, "wrong usage of the command line"
    PARTIAL = 3, "some eligible container was not carried"
    NOTHING_CARRIED = 4, "containers were eligible and none was carried"
    LOCKED = 10, "another drainer is at work"
    NO_MANIFEST = 11, "there is no manifest"
    MANIFEST_INVALID = 12, "the manifest is damaged, unsafe or of another version"
    HOST_INCAPABLE = 13, "this host cannot checkpoint or restore, or Docker does not answer"
    HOST_INCOMPATIBLE = 14, "this host no longer fits the manifest"
    DEADLINE = 15, "the budget ended before the work did"
    STORAGE = 74, "a file of drainer's could not be read or written: disk full, read-only, failing"
    NO_PERMISSION = 77, "root is needed, or a file or socket denies access"
    CONFIG_INVALID = 78, "a setting is invalid"
    INTERRUPTED = 130, "interrupted by SIGINT"
    TERMINATED = 143, "ended by SIGTERM"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "ExitCode":
        """Make a member whose value is the exit code and whose `meaning` is a sentence."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class DrainerError(Exception):
    """An error with a one-line message for people, a hint, and an exit code."""

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep `message` (what is wrong) apart from `hint` (what to do)."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class LockedError(DrainerError):
    """Another drainer process holds the lock."""

    exit_code = ExitCode.LOCKED


class NoManifestError(DrainerError):
    """There is no manifest to work from."""

    exit_code = ExitCode.NO_MANIFEST


class ManifestInvalidError(DrainerError):
    """The manifest cannot be trusted: damaged, unsafe, or of a version that is not known."""

    exit_code = ExitCode.MANIFEST_INVALID


class StorageError(DrainerError):
    """A file of drainer's could not be read or written."""

    exit_code = ExitCode.STORAGE


class HostIncapableError(DrainerError):
    """Nothing can be carried on this host as it is."""

    exit_code = ExitCode.HOST_INCAPABLE


class HostIncompatibleError(DrainerError):
    """The host, or its Docker, is not the one that the manifest was made on."""

    exit_code = ExitCode.HOST_INCOMPATIBLE


class NoContainerError(DrainerError):
    """No running container, or more than one, goes by a name that was given."""

    exit_code = ExitCode.USAGE


class UsageError(DrainerError):
    """What was asked for makes no sense."""

    exit_code = ExitCode.USAGE


class NoPermissionError(DrainerError):
    """Root is needed, or a path in use is not safely root's."""

    exit_code = ExitCode.NO_PERMISSION


class ConfigInvalidError(DrainerError):
    """A setting, ours or one of the host's files that we were asked to edit, is invalid."""

    exit_code = ExitCode.CONFIG_INVALID


class EngineError(DrainerError):
    """Docker refused or failed a request. The message is Docker's own, still unescaped."""

    exit_code = ExitCode.HOST_INCAPABLE


class EngineUnavailableError(EngineError):
    """Docker did not answer at all: no socket, refused, or broken off."""


class EngineTimeoutError(EngineError):
    """Docker did not answer within the limit. The request may still be under way."""


class NotBegunError(DrainerError):
    """A restore was not asked for, and is not to be now."""


class RuntimeRefusedError(DrainerError):
    """runc refused or failed. The message says why, escaped."""

    exit_code = ExitCode.HOST_INCAPABLE


class ContainerGoneError(EngineError):
    """The container does not exist (any more)."""


class CheckpointInvalidError(DrainerError):
    """A checkpoint's images are missing, incomplete or inconsistent."""
