"""The body of an answer of Docker's."""

from typing import TYPE_CHECKING

from drainer.errors import EngineError

if TYPE_CHECKING:
    from requests import Response


def json_of(response: "Response") -> object:
    """Return the JSON of an answer. Raises `EngineError` when it is none."""
    try:
        data: object = response.json()
    except ValueError as error:
        raise EngineError(
            f"Docker's answer to {response.request.method} {response.request.path_url}"
            f" is not JSON: {error}"
        ) from error
    return data
