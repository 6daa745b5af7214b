"""A checksum tells every difference of content, and depends on nothing else."""

import hashlib
import itertools
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drainer.host.checksum import PIECE, Checksum, checksum

CONTENT = bytes(range(256)) * (PIECE // 256) * 2 + b"and some more"


def test_it_is_what_the_documentation_says() -> None:
    pieces = (CONTENT[:PIECE], CONTENT[PIECE : 2 * PIECE], CONTENT[2 * PIECE :])
    parts = b"".join(crc32(p).to_bytes(4, "big") + len(p).to_bytes(4, "big") for p in pieces)
    assert checksum(CONTENT) == f"crc32-sha256:{hashlib.sha256(parts).hexdigest()}"


@given(st.lists(st.integers(0, len(CONTENT)), max_size=8))
def test_it_is_the_same_whatever_the_parts(cuts: list[int]) -> None:
    ends = sorted([0, *cuts, len(CONTENT)])
    found = Checksum()
    for begin, end in itertools.pairwise(ends):
        found.update(CONTENT[begin:end])
    assert found.text() == checksum(CONTENT)


@pytest.mark.parametrize(
    "other",
    [
        b"",
        CONTENT[:-1],
        CONTENT + b"\0",
        CONTENT[:PIECE],
        CONTENT[: PIECE - 1],
        CONTENT[PIECE:],
        CONTENT[PIECE:] + CONTENT[:PIECE],
        bytes([CONTENT[0] ^ 1]) + CONTENT[1:],
        CONTENT[:PIECE] + bytes(PIECE) + CONTENT[2 * PIECE :],
    ],
    ids=len,
)
def test_other_content_has_another_one(other: bytes) -> None:
    assert checksum(other) != checksum(CONTENT)
    assert checksum(other) == checksum(other)
