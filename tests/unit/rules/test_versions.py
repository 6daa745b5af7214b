import pytest

from drainer.model import HostFacts
from drainer.rules.versions import criu_floor, next_kernel_lack
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


@pytest.mark.parametrize(
    ("criu", "kernel", "following", "lack"),
    [
        (
            "4.1.1",
            "6.12.48+deb13-amd64",
            "6.16.3",
            "kernel 6.16.3 needs CRIU 4.2.0, and this is 4.1.1",
        ),
        ("4.2", "6.12.48", "7.2.12+deb14", "kernel 7.2.12+deb14 needs CRIU 4.2.1, and this is 4.2"),
        ("4.2.1", "6.12.48", "7.2.12", ""),
        ("4.1.1", "6.12.48", "6.12.57", ""),
        ("4.1.1", "6.12.48", "", ""),
        # The distribution has mended it for its own kernel, and for no other.
        ("3.17.1", "6.1.0-28-amd64", "6.1.0-40-amd64", ""),
        (
            *("3.17.1", "6.1.0-28-amd64", "6.12.9+bpo-amd64"),
            "kernel 6.12.9+bpo-amd64 needs CRIU 4.1.1, and this is 3.17.1",
        ),
        # Then it is said already what is lacking.
        ("", "6.12.48", "7.2.12", ""),
        ("4.1.1", "6.17.0", "7.2.12", ""),
    ],
)
def test_what_the_newest_kernel_would_lack(
    criu: str, kernel: str, following: str, lack: str
) -> None:
    package = "3.17.1-2+deb12u2" if criu == "3.17.1" else ""
    host = HostFacts(
        *("boot", kernel, "x86_64"), criu=criu, criu_package=package, next_kernel=following
    )
    assert next_kernel_lack(host) == lack
