"""The hook that runc runs at CRIU's `setup-namespaces`: it holds a restore until it is let go.

`hold.py DIRECTORY SECONDS MARK`: in DIRECTORY are the files of `agent`; MARK is the file by which
the checkpoint is known to be unused. Every restore waits for it, and the interpreter compiles it
anew each time: it loads next to nothing.
"""

import os
import select
import sys


def main(arguments: list[str]) -> int:
    """Say which process is being restored, wait, and note that its program may run from now on."""
    directory, seconds, mark = arguments
    os.umask(0o077)
    pid = _pid(sys.stdin.buffer.read())
    fifo = os.open(f"{directory}/release", os.O_RDWR | os.O_NONBLOCK)
    with open(f"{directory}/pid.new", "w") as file:
        file.write(str(pid))
    os.rename(f"{directory}/pid.new", f"{directory}/pid")
    ready, _, _ = select.select([fifo], [], [], float(seconds))
    if not ready or os.read(fifo, 2) != b"go":
        return 1
    _use(mark)
    return 0


def _pid(state: bytes) -> int:
    """Return the pid in an OCI state: the first key of that name (runtime-spec state.go).

    What comes from a container follows it, and in a string of JSON no quote stands alone.
    """
    return int(state.partition(b'"pid":')[2].partition(b",")[0].strip(b" }\n"))


def _use(mark: str) -> None:
    """Note durably that the checkpoint is no longer unused."""
    try:
        os.unlink(mark)
    except FileNotFoundError:
        pass
    directory = os.open(os.path.dirname(mark), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
