"""The body of an answer of Docker's."""

import io
import time
from typing import TYPE_CHECKING

from drainer.errors import EngineError

if TYPE_CHECKING:
    from requests import Response


LIMIT = 64 << 20
"""Bytes that an answer may have: far more than Docker tells of a host full of containers."""
_PART = 1 << 16


def read(response: "Response", seconds: float, limit: int = LIMIT) -> None:
    """Read the body, which has not been read yet, for its later use.

    What answers may be no Docker: raises `EngineError` for more than `limit` bytes, a
    `TimeoutError` for one that comes in parts for longer than so many seconds, and the errors of
    urllib3 and of the system for one that breaks off.
    """
    end = time.monotonic() + seconds
    body = bytearray()
    for part in response.raw.stream(_PART, decode_content=True):
        body += part
        late = time.monotonic() > end
        if late or len(body) > limit:
            response.close()
            if late:
                raise TimeoutError
            raise EngineError(
                f"Docker's answer to {response.request.method} {response.request.path_url}"
                f" is larger than {limit} bytes"
            )
    response.raw = io.BytesIO(body)


def json_of(response: "Response") -> object:
    """Return the JSON of an answer. Raises `EngineError` when it is none."""
    try:
        data: object = response.json()
    except (ValueError, RecursionError) as error:
        raise EngineError(
            f"Docker's answer to {response.request.method} {response.request.path_url}"
            f" is not JSON: {error}"
        ) from error
    return data
