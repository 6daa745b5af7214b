"""A root file system as small as can be, of this host's own programs: no registry is needed.

It holds a shell and `sleep`, with the shared libraries that the host's loader names for them, or
BusyBox alone where that is linked statically.
"""

import io
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from drainer.errors import HostIncapableError
from drainer.host.run import Runner, run

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
SHELL = "/bin/sh"
SLEEP = "/bin/sleep"

_SECONDS = 20.0
_LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_MISSING = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)
_STATIC = ("not a dynamic executable", "statically linked")


def archive(runner: Runner = run, search_path: str = SEARCH_PATH) -> bytes:
    """Return the root file system as a tar archive.

    Raises `HostIncapableError` when a program or library of it is not to be found.
    """
    busybox = shutil.which("busybox", path=search_path)
    if busybox and libraries(Path(busybox), runner) == ():
        files = {SHELL: Path(busybox), SLEEP: Path(busybox)}
    else:
        files = {place: _program(Path(place).name, search_path) for place in (SHELL, SLEEP)}
        needed = [libraries(program, runner) for program in files.values()]
        files.update({str(library): library for found in needed for library in found})
    return _packed(files.items())


def libraries(program: Path, runner: Runner = run) -> tuple[Path, ...]:
    """Return the shared libraries of a program, with its loader; none if it is static.

    They are at the places where the loader looks for them (ldd(1)).
    """
    result = runner(["ldd", str(program)], _SECONDS)
    if any(word in result.output + result.errors for word in _STATIC):
        return ()
    missing = _MISSING.findall(result.output)
    found = tuple(map(Path, _LIBRARY.findall(result.output)))
    if result.status or missing or not found:
        problem = f"lacks {', '.join(missing)}" if missing else "cannot be examined by `ldd`"
        raise _impossible(f"{program} {problem}")
    return found


def _program(name: str, search_path: str) -> Path:
    found = shutil.which(name, path=search_path)
    if found is None:
        raise _impossible(f"there is no program `{name}` in {search_path}")
    return Path(found)


def _packed(files: Iterable[tuple[str, Path]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for place, source in files:
            try:
                content = source.read_bytes()
            except OSError as error:
                raise _impossible(f"{source} cannot be read: {error.strerror}") from error
            entry = tarfile.TarInfo(place.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _impossible(problem: str) -> HostIncapableError:
    return HostIncapableError(
        f"no image can be made of this host's programs: {problem}",
        "install a statically linked BusyBox (on Debian: `apt install busybox-static`)",
    )
