"""Hold memory, change some of it, and say five times a second that one is alive.

`program.py NAME MIB CHANGED`: a line with the time is added to /srv/ticks/NAME after each change
of so many of its MiB. Random bytes: nothing is to be saved by zero pages.
"""

import os
import sys
import time
from pathlib import Path

MIB = 1 << 20
PAGE = 4096


def main(name: str, size: int, changed: int) -> None:
    """Never ends."""
    memory = bytearray(os.urandom(MIB) * size)
    ticks = Path("/srv/ticks", name)
    place = count = 0
    while True:
        count += 1
        for _ in range(changed * MIB // PAGE):
            memory[place : place + 8] = count.to_bytes(8)
            place = (place + PAGE) % len(memory)
        with ticks.open("a") as file:
            file.write(f"{time.time():.3f}\n")
        time.sleep(0.2)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
