import re
from collections.abc import Collection, Sequence

import pytest

from drainer import rules as registry
from drainer.model import ROUTES, Bond, Finding, Provider, Route, Subject
from drainer.rules import NOTES, REFUSALS, SKIPS, HostRule, Rule, notes
from tests.unit.rules.cases import (
    HOST_CASES,
    NOTE_CASES,
    SKIP_CASES,
    Cases,
    Given,
    doing,
    labelled,
    on,
    under,
    with_,
)

RULES: tuple[HostRule | Rule, ...] = (*REFUSALS, *SKIPS, *NOTES)
ALL_CASES = {**HOST_CASES, **SKIP_CASES, **NOTE_CASES}


def refusals_of(subject: Subject) -> tuple[Finding, ...]:
    """Return the refusals of all routes, in the order of the registry."""
    found = {f for route in ROUTES for f in registry.refusals(subject.host, subject.engine, route)}
    return _ordered(REFUSALS, found)


def skip_reasons(subject: Subject) -> tuple[Finding, ...]:
    """Return the skip reasons of all routes, in the order of the registry."""
    return _ordered(SKIPS, {f for route in ROUTES for f in registry.skip_reasons(subject, route)})


def _ordered(rules: Sequence[HostRule | Rule], found: Collection[Finding]) -> tuple[Finding, ...]:
    order = [rule.id for rule in rules]
    return tuple(sorted(found, key=lambda finding: order.index(finding.id)))


def asked(rule_id: str, given: Given) -> bool:
    subject = given.subject()
    if rule_id in HOST_CASES:
        found = refusals_of(subject)
    else:
        found = skip_reasons(subject) if rule_id in SKIP_CASES else notes(subject)
    return rule_id in {finding.id for finding in found}


FIRES = [(rule_id, given) for rule_id, cases in ALL_CASES.items() for given in cases.fires]
SILENT = [(rule_id, given) for rule_id, cases in ALL_CASES.items() for given in cases.silent]


@pytest.mark.parametrize(("rule_id", "given"), FIRES)
def test_rule_answers(rule_id: str, given: Given) -> None:
    assert asked(rule_id, given)


@pytest.mark.parametrize(("rule_id", "given"), SILENT)
def test_rule_is_silent(rule_id: str, given: Given) -> None:
    assert not asked(rule_id, given)


@pytest.mark.parametrize(
    ("rules", "cases"), [(REFUSALS, HOST_CASES), (SKIPS, SKIP_CASES), (NOTES, NOTE_CASES)]
)
def test_every_rule_has_both_kinds_of_case(
    rules: tuple[HostRule | Rule, ...], cases: dict[str, Cases]
) -> None:
    assert [rule.id for rule in rules if rule.id not in cases] == []
    assert len(cases) == len(rules)
    assert [name for name, case in cases.items() if not case.fires or not case.silent] == []


def test_an_ordinary_container_on_an_ordinary_host_has_no_finding() -> None:
    subject = Given().subject()
    assert (refusals_of(subject), skip_reasons(subject), notes(subject)) == ((), (), ())


def test_ids_are_unique_snake_case() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_texts_are_single_ascii_sentences(rule: HostRule | Rule) -> None:
    for text in (rule.sentence, rule.advice):
        assert re.fullmatch(r"[ -~]+\.", text)
        assert text[0].isupper()
        assert not re.search(r"\w\. [A-Z]", text)


def test_severities() -> None:
    assert {rule.severity for rule in REFUSALS} == {"refusal"}
    assert {rule.severity for rule in SKIPS} == {"skip"}
    assert {rule.severity for rule in NOTES} == {"note"}


def test_all_reasons_come_in_the_order_of_the_registry() -> None:
    given = Given(
        container={"tty": True, "auto_remove": True, "labels": {"drainer.enable": "off"}},
        processes={"file_locks": 1, "traced": True},
        providers=(Provider("b" * 64, "db", Bond.IPC, eligible=False),),
    )
    found = [finding.id for finding in skip_reasons(given.subject())]
    assert found == ["opted_out", "auto_remove", "tty", "traced", "file_locks", "provider_skipped"]


def test_a_host_can_have_several_refusals() -> None:
    given = Given(host={"criu": ""}, engine={"experimental": False, "rootless": True})
    found = [finding.id for finding in refusals_of(given.subject())]
    assert found == ["engine_rootless", "engine_not_experimental", "criu_missing"]


def test_a_rule_counts_only_on_its_routes() -> None:
    given = Given(
        container={"init": True},
        processes={"file_locks": 1, "runtime": "/opt/runc"},
        engine={"experimental": False},
        host={"runc": "", "stand_in": ""},
    ).subject()
    refused = {r: registry.refusals(given.host, given.engine, r) for r in ROUTES}
    skipped = {r: registry.skip_reasons(given, r) for r in ROUTES}
    assert [f.id for f in refused[Route.ENGINE]] == ["engine_not_experimental"]
    assert [f.id for f in refused[Route.RUNTIME]] == ["runc_missing"]
    assert [f.id for f in skipped[Route.ENGINE]] == ["init_process", "file_locks"]
    assert [f.id for f in skipped[Route.RUNTIME]] == ["runtime_fixed"]


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        (labelled("a\x1b[31m\n\N{SNOWMAN}"), r'"a\x1b[31m\n\u2603"'),
        (labelled("x" * 5_000_000), '"' + "x" * 57 + '..."'),
        (labelled("\udcff\0"), r'"\udcff\x00"'),
        (doing(tcp_established=7), "7"),
        (doing(inner_mounts=("/a", "/b", "/c")), "/a, /b, /c"),
        (doing(inner_mounts=("/a\n", "/b", "/c", "/d", "/e")), r"/a\n, /b, /c and 2 more"),
        (with_(tty=True), ""),
    ],
)
def test_detail_is_printable_and_short(given: Given, detail: str) -> None:
    assert [finding.detail for finding in skip_reasons(given.subject())] == [detail]


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        (
            on(criu="3.17.1", kernel="6.1.0-40-amd64"),
            "CRIU 3.17.1, kernel 6.1.0-40-amd64 needs 4.1.1",
        ),
        (on(criu_problem="Error: \x1b[1mno"), r"Error: \x1b[1mno"),
        (under(version="25.0.2"), "25.0.2"),
    ],
)
def test_refusals_name_the_case(given: Given, detail: str) -> None:
    assert [finding.detail for finding in refusals_of(given.subject())] == [detail]
