"""Tables fit: into 100 columns without a terminal, into 80 on a small one."""

import pytest

from drainer.cli.table import paragraph, table

COLUMNS = ("CONTAINER", "SIZE", "WHY")
WORDS = "it has a terminal, which Docker does not support in checkpoints, and much more to be said"


def test_what_fits_is_on_one_line() -> None:
    assert table(COLUMNS, [("web", "1 B", ""), ("db", "", "so")], 80) == [
        "CONTAINER  SIZE  WHY",
        "web        1 B",
        "db               so",
    ]


def test_without_rows_there_is_the_heading() -> None:
    assert table(COLUMNS, [], 80) == ["CONTAINER  SIZE  WHY"]


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", ["web", "x" * 200, "a-b-" * 30])
@pytest.mark.parametrize("words", ["", WORDS, "y" * 250, WORDS * 3])
def test_nothing_is_wider_than_it_may_be_and_nothing_is_lost(
    width: int, name: str, words: str
) -> None:
    lines = table(COLUMNS, [(name, "12.3 MiB", words)], width)
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    said = "".join(lines[1:]).replace(" ", "")
    assert sorted(said) == sorted((name + "12.3MiB" + words).replace(" ", ""))


def test_a_short_name_is_not_folded_for_long_words() -> None:
    lines = table(COLUMNS, [("shop-production-db-1", "1 B", WORDS)], 60)
    assert lines[1].startswith("shop-production-db-1  1 B   it has a")


def test_one_column_alone_is_as_wide_as_it_is() -> None:
    assert table(("NAME",), [("x" * 90,)], 80) == ["NAME", "x" * 90]


def test_a_paragraph_keeps_commands_whole() -> None:
    command = "`mkdir -p /etc/criu && echo tcp-close >> /etc/criu/runc.conf`"
    lines = paragraph(f"tty: Run {command} " + "and then look at it again " * 5, 80)
    assert max(map(len, lines)) <= 80
    assert any(command in line for line in lines)
    assert lines[0].startswith("  tty: Run")
    assert all(line.startswith("    ") for line in lines[1:])
    assert paragraph("a `b", 80) == ["  a `b"]
