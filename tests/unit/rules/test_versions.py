import pytest

from drainer.rules.versions import criu_floor
from drainer.versions import Version, version_of, version_text


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("26.1.5+dfsg1", (26, 1, 5)),
        ("v1.7.24~ds1", (1, 7, 24)),
        ("4.2", (4, 2, 0)),
        ("7", (7, 0, 0)),
        ("6.12.57+deb13-amd64", (6, 12, 57)),
        ("1.2.3.4.5", (1, 2, 3, 4)),
        ("", ()),
        ("dev", ()),
    ],
)
def test_version_of(text: str, version: Version) -> None:
    assert version_of(text) == version


def test_version_of_endless_digits_does_not_raise() -> None:
    assert version_of("9" * 10_000) == (999_999_999, 0, 0)


def test_version_text() -> None:
    assert version_text((4, 1, 1)) == "4.1.1"


@pytest.mark.parametrize(
    ("kernel", "floor"),
    [
        ("5.10.0-35-amd64", (4, 1, 1)),
        ("6.1.0-40-amd64", (4, 1, 1)),
        ("6.12.57+deb13-amd64", (4, 1, 1)),
        ("6.15.11", (4, 1, 1)),
        ("6.16-rc1", (4, 2, 0)),
        ("7.0.9", (4, 2, 0)),
        ("7.1.0", (4, 2, 1)),
        ("10.0", (4, 2, 1)),
        ("", (4, 1, 1)),
    ],
)
def test_criu_floor(kernel: str, floor: Version) -> None:
    assert criu_floor(kernel) == floor
