"""The state directory: safely root's own, and written so that a crash leaves old or new, whole."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drainer.errors import DrainerError, ManifestInvalidError, NoPermissionError, StorageError
from drainer.text import printable

DEFAULT_PATH = Path("/var/lib/drainer")

RESERVE_NAME = ".reserve"
"""A file that is there only to be deleted when the disk is full."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_ANY_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Os:
    """The system calls of a durable write. Names are relative to the open directory `dir_fd`."""

    def open(self, name: str, flags: int, dir_fd: int) -> int:
        """Open a file, created with mode 0600 if `flags` say so."""
        return os.open(name, flags, 0o600, dir_fd=dir_fd)

    def write(self, fd: int, data: memoryview) -> int:
        """Write some of `data`; return how many bytes."""
        return os.write(fd, data)

    def allocate(self, fd: int, size: int) -> None:
        """Have the disk keep room for the first `size` bytes of a file."""
        os.posix_fallocate(fd, 0, size)

    def fsync(self, fd: int) -> None:
        """Flush a file to disk."""
        os.fsync(fd)

    def rename(self, old: str, new: str, dir_fd: int) -> None:
        """Put one name in place of another, at once."""
        os.rename(old, new, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    def unlink(self, name: str, dir_fd: int) -> None:
        """Remove a name."""
        os.unlink(name, dir_fd=dir_fd)

    def fsync_dir(self, dir_fd: int) -> None:
        """Flush a directory's names to disk."""
        os.fsync(dir_fd)


class StateDirectory:
    """A directory, opened once, in which nobody but its owner can have put anything.

    Writers of one name must not run side by side; see `drainer.store.lock`.
    """

    def __init__(self, path: Path = DEFAULT_PATH, uid: int = 0, calls: Os | None = None) -> None:
        """Open `path`, made with mode 0700 if need be, for the user `uid`.

        Raises `NoPermissionError` for another user, and for a directory that others can change;
        `DrainerError` when it cannot be made or opened.
        """
        self.path = path.absolute()
        self._uid = uid
        self._calls = calls or Os()
        if os.geteuid() != uid:
            raise NoPermissionError(
                f"{self._shown()}: only user {uid} may use it"
                if uid
                else "drainer needs to be root: it reads and writes the state of the whole host",
                "run it with sudo",
            )
        try:
            self._check_parents()
            self.fd = self._open()
        except OSError as error:
            raise self._failure("cannot be opened", error) from error
        try:
            self._check_own()
        except BaseException:
            os.close(self.fd)
            raise

    @contextmanager
    def below(self, name: str) -> Iterator["StateDirectory"]:
        """Open a directory in this one, made if need be, while the block runs. Raises the same."""
        inner = StateDirectory(self.path / name, self._uid, self._calls)
        try:
            yield inner
        finally:
            inner.close()

    def close(self) -> None:
        """Close the directory. Nothing can be done with it afterwards."""
        os.close(self.fd)

    def exists(self, name: str) -> bool:
        """Tell whether there is anything of that name."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def names(self) -> tuple[str, ...]:
        """List what is there, sorted. Raises `DrainerError`."""
        try:
            with os.scandir(self.fd) as found:
                return tuple(sorted(entry.name for entry in found))
        except OSError as error:
            raise self._failure("cannot be listed", error) from error

    def remove(self, name: str) -> None:
        """Remove a name, if it is there. Raises `DrainerError` when it stays."""
        try:
            self._discard(name)
        except OSError as error:
            raise self._failure("cannot be removed", error, name) from error

    def read(self, name: str, limit: int) -> bytes:
        """Return a file's content, of at most `limit` bytes.

        Raises `FileNotFoundError`; `NoPermissionError` for anything but a plain file that only
        its owner can write; `ManifestInvalidError` for a larger one; `DrainerError` else.
        """
        try:
            fd = os.open(name, _READ, dir_fd=self.fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._unsafe(name, "is a symbolic link") from error
            raise self._failure("cannot be opened", error, name) from error
        with os.fdopen(fd, "rb") as file:
            self._check_file(name, os.fstat(fd))
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise self._failure("cannot be read", error, name) from error
        if len(data) > limit:
            raise ManifestInvalidError(
                f"{self._shown(name)}: larger than {limit} bytes",
                "drainer never writes such a file; move it away",
            )
        return data

    def write(self, name: str, data: bytes, *, reserve: bool = False) -> None:
        """Replace a file's content; durable when this returns.

        On a full disk the reserve is given up for it if `reserve` says so. Raises `DrainerError`
        with path and errno. The old content is then intact, except that the new one may be in its
        place if only the last step, flushing the directory, failed.
        """
        try:
            try:
                self._replace(name, data)
            except OSError as error:
                full = error.errno in _FULL
                if not (reserve and full and self._give_reserve_up()):
                    raise
                self._replace(name, data)
        except OSError as error:
            raise self._failure("cannot be written", error, name) from error

    def keep_reserve(self, size: int) -> None:
        """Keep so many bytes for a later `write` that may take them. Never raises.

        A reserve of another size is replaced.
        """
        with suppress(OSError):
            try:
                if os.stat(RESERVE_NAME, dir_fd=self.fd, follow_symlinks=False).st_size == size:
                    return
            except FileNotFoundError:
                pass
            self._discard(RESERVE_NAME)
            fd = self._calls.open(RESERVE_NAME, _CREATE, self.fd)
            try:
                self._calls.allocate(fd, size)
            except OSError:
                self._discard(RESERVE_NAME)
            finally:
                os.close(fd)

    def _give_reserve_up(self) -> bool:
        """Delete the reserve; tell whether there was one."""
        try:
            self._calls.unlink(RESERVE_NAME, self.fd)
        except OSError:
            return False
        return True

    def _replace(self, name: str, data: bytes) -> None:
        temporary = f".{name}.new"
        try:
            self._discard(temporary)
            fd = self._calls.open(temporary, _CREATE, self.fd)
            try:
                self._fill(fd, data)
            finally:
                os.close(fd)
            self._calls.rename(temporary, name, self.fd)
            self._calls.fsync_dir(self.fd)
        except OSError:
            # The next write discards it too; what is wrong is said by the first error.
            with suppress(OSError):
                self._discard(temporary)
            raise

    def _fill(self, fd: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._calls.write(fd, rest) :]
        self._calls.fsync(fd)

    def _discard(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._calls.unlink(name, self.fd)

    def _open(self) -> int:
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            parent = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._calls.fsync_dir(parent)
            finally:
                os.close(parent)
        if self.path.is_symlink():
            raise self._unsafe("", "is a symbolic link")
        return os.open(self.path, _DIRECTORY)

    def _check_parents(self) -> None:
        """Refuse a path that somebody else could exchange above the directory itself."""
        real = self.path.parent.resolve()
        for parent in {*self.path.parents, real, *real.parents}:
            found = parent.stat()
            shared = found.st_mode & _WRITABLE_BY_OTHERS and not found.st_mode & stat.S_ISVTX
            if shared or found.st_uid not in {0, self._uid}:
                raise self._unsafe("", f"others can exchange it: they may write {parent}")

    def _check_own(self) -> None:
        found = os.fstat(self.fd)
        if found.st_uid != self._uid:
            raise self._unsafe("", f"belongs to user {found.st_uid}, not to {self._uid}")
        if found.st_mode & _WRITABLE_BY_OTHERS:
            raise self._unsafe("", "others may write it")
        if found.st_mode & _ANY_FOR_OTHERS:
            os.fchmod(self.fd, 0o700)

    def _check_file(self, name: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._unsafe(name, "is not a plain file")
        if found.st_uid != self._uid:
            raise self._unsafe(name, f"belongs to user {found.st_uid}, not to {self._uid}")
        if found.st_mode & _WRITABLE_BY_OTHERS:
            raise self._unsafe(name, "others may write it")

    def _shown(self, name: str = "") -> str:
        return printable(str(self.path / name if name else self.path))

    def _unsafe(self, name: str, problem: str) -> NoPermissionError:
        return NoPermissionError(
            f"{self._shown(name)}: {printable(problem)}",
            f"see what it is, then make it user {self._uid}'s alone, or move it away",
        )

    def _failure(self, what: str, error: OSError, name: str = "") -> DrainerError:
        code = errno.errorcode.get(error.errno or 0, "no errno")
        kind = NoPermissionError if error.errno in {errno.EACCES, errno.EPERM} else StorageError
        hints = {
            errno.ENOSPC: "free some space on its file system",
            errno.EDQUOT: "free some space on its file system",
            errno.EROFS: "its file system is mounted read-only",
            errno.ENOENT: "create its parent directory",
            errno.ENOTDIR: "it must be a directory",
            errno.EIO: "its disk may be failing; see the kernel's messages",
        }
        return kind(
            f"{self._shown(name)}: {what}: {os.strerror(error.errno or 0)} ({code})",
            hints.get(error.errno or 0, ""),
        )
