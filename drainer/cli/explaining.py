"""What `drainer plan --explain` prints."""

from drainer.cli import output, plan_output
from drainer.errors import NoContainerError
from drainer.explain import Line, explain, find
from drainer.model import Plan, PlanEntry, Verdict
from drainer.text import printable

DETAIL = 300
"""Characters of what is particular to the case, at most."""


def show_explanation(plan: Plan, wanted: str, *, as_json: bool) -> None:
    """Print every rule and its answer for the container that goes by `wanted`.

    Raises `NoContainerError` when none does, or more than one.
    """
    found = find(plan, wanted)
    if len(found) != 1:
        few = f"{len(found)} running containers have ids that begin so" if found else "none runs"
        hint = "`drainer plan` lists those that run"
        raise NoContainerError(f"no container can be told by {printable(wanted)!r}: {few}", hint)
    (entry,) = found
    lines = explain(plan, entry)
    if as_json:
        output.show_json(explanation=_document(plan, entry, lines))
        return
    output.line(f"{printable(entry.container.name)}: {_verdict(entry)}")
    output.line()
    routes = tuple(str(route).upper() for route in plan.routes)
    output.show_table(
        ("RULE", *routes, "ANSWER"),
        [
            (
                line.rule,
                *(str(answer) for _, answer in line.answers),
                plan_output.said(line.finding, DETAIL) if line.finding else "",
            )
            for line in lines
        ],
    )
    for line in lines:
        if line.finding:
            output.line()
            output.show_item(line.rule, line.finding.advice)


def _verdict(entry: PlanEntry) -> str:
    if entry.verdict is Verdict.CARRY:
        return f"would be carried, on the {entry.route} route"
    return f"would be skipped: {', '.join(reason.id for reason in entry.reasons)}"


def _document(plan: Plan, entry: PlanEntry, lines: tuple[Line, ...]) -> dict[str, object]:
    return {
        "id": entry.container.id,
        "name": entry.container.name,
        "verdict": entry.verdict,
        "route": entry.route if entry.verdict is Verdict.CARRY else "",
        "routes": list(plan.routes),
        "rules": [
            {
                "id": line.rule,
                "answers": {str(route): answer for route, answer in line.answers},
                "sentence": line.finding.sentence if line.finding else "",
                "advice": line.finding.advice if line.finding else "",
                "detail": line.finding.detail if line.finding else "",
            }
            for line in lines
        ],
    }
