"""Ask services five times a second, and note in /srv/ticks/NAME when one answers as it should.

`prober.py NAME:PORT:redis NAME:PORT:http ...`
"""

import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

QUESTIONS = {
    "redis": (b"PING\r\n", b"+PONG"),
    "http": (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200"),
}


def ask(name: str, port: int, kind: str) -> None:
    """Never ends."""
    question, answer = QUESTIONS[kind]
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(question)
            if connection.recv(len(answer)).replace(b"/1.1", b"/1.0") == answer:
                with Path("/srv/ticks", name).open("a") as file:
                    file.write(f"{time.time():.3f}\n")
        time.sleep(0.2)


for service in sys.argv[1:]:
    title, port, kind = service.split(":")
    threading.Thread(target=ask, args=(title, int(port), kind)).start()
