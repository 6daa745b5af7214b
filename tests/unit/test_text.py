import pytest

from drainer.text import printable, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-1", "web-1"),
        ("日本 é", "日本 é"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\r\tc\0", r"a\nb\r\tc\x00"),
        ("gpj\u202eexe", r"gpj\u202eexe"),
        ("\ud800\udc80", r"\ud800\udc80"),
        ("a\u2028b\u00a0c\u0085", r"a\u2028b\xa0c\x85"),
        ("\U000e0041", r"\U000e0041"),
        ("", ""),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_character_comes_out_printable_and_encodable() -> None:
    for code in range(0x110000):
        shown = printable(chr(code))
        assert shown.isprintable()
        shown.encode()


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcd", 4, "abcd"),
        ("abcde", 4, "abc…"),
        ("ab\x1bc", 5, "ab…"),
        ("abc\x1b", 7, r"abc\x1b"),
        ("abc\x1bd", 7, "abc…"),
    ],
)
def test_long_text_is_cut_within_the_limit(text: str, limit: int, shown: str) -> None:
    assert printable(text, limit) == shown
    assert len(shown) <= limit


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (12_897_485, "12.3 MiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3000 * 1024**5, "3000.0 PiB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert size(count) == shown
