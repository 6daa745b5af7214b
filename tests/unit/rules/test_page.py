import re
import subprocess
import sys
from pathlib import Path

from drainer.rules import NOTES, REFUSALS, SKIPS, HostRule, Rule
from drainer.rules.page import page

ROOT = Path(__file__).parents[3]
RULES: tuple[HostRule | Rule, ...] = (*REFUSALS, *SKIPS, *NOTES)


def test_committed_page_is_what_the_registry_says() -> None:
    committed = (ROOT / "docs" / "skip-reasons.md").read_text(encoding="utf-8")
    assert committed == page(), "run: python -m drainer.rules > docs/skip-reasons.md"


def test_module_prints_the_page() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "drainer.rules"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    assert printed.stdout == page()


def test_every_rule_has_one_anchor_and_one_row() -> None:
    anchors = re.findall(r'^\| <a id="(\w+)"></a>`\1` \|', page(), flags=re.MULTILINE)
    assert anchors == [rule.id for rule in RULES]


def test_every_row_has_three_cells() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| <a")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


def test_every_text_is_on_the_page() -> None:
    text = page().replace("\\|", "|")
    assert [rule.id for rule in RULES if rule.sentence not in text] == []
    assert [rule.id for rule in RULES if rule.advice not in text] == []
