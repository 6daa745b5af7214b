"""What is printed of a plan."""

from dataclasses import asdict
from typing import Any

from drainer.cli import output
from drainer.model import Finding, Plan, PlanEntry, Verdict
from drainer.plan import demands
from drainer.room import Use, side_by_side, uses
from drainer.rules.versions import NEXT_KERNEL, next_kernel_lack
from drainer.text import printable, size


def plan_json(plan: Plan) -> dict[str, Any]:
    """Shape a plan for programs."""
    wanted = demands(plan).values()
    return {
        "refusals": [asdict(r) for r in plan.refusals],
        "entries": [_planned_json(e) for e in plan.entries],
        "room": [asdict(use) for use in uses(wanted, plan.places)],
        "at_once": side_by_side(wanted, plan.places),
        "next_kernel": next_kernel_lack(plan.host),
        "host": asdict(plan.host),
        "engine": asdict(plan.engine),
    }


def _planned_json(entry: PlanEntry) -> dict[str, Any]:
    container = entry.container
    return {
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "restart_policy": asdict(container.restart_policy),
        "verdict": entry.verdict,
        "reasons": [asdict(r) for r in entry.reasons],
        "notes": [asdict(n) for n in entry.notes],
        "route": entry.route if entry.verdict is Verdict.CARRY else "",
        "route_reasons": [asdict(r) for r in entry.route_reasons],
        "wave": entry.wave,
        "needs": list(entry.needs),
        "expected_bytes": entry.expected_bytes,
        "priority": entry.priority,
        "pre_dump": entry.pre_dump,
        "group": entry.wish.group,
    }


def show_plan(plan: Plan) -> None:
    """Print a plan for people: what is carried and what not, why, and what to do about it."""
    if not plan.entries:
        output.line("No container is running.")
        return
    ranked = any(e.priority for e in plan.entries)
    grouped = any(e.wish.group for e in plan.entries)
    more = (*(("PRIORITY",) if ranked else ()), *(("GROUP",) if grouped else ()))
    output.show_table(
        ("CONTAINER", "VERDICT", "ROUTE", "WAVE", *more, "SIZE", "WHY"),
        [
            (
                e.container.name,
                e.verdict,
                e.route if e.verdict is Verdict.CARRY else "-",
                str(e.wave) if e.verdict is Verdict.CARRY else "-",
                *((str(e.priority),) if ranked else ()),
                *((e.wish.group or "-",) if grouped else ()),
                size(e.expected_bytes) if e.verdict is Verdict.CARRY else "-",
                _why(e),
            )
            for e in plan.entries
        ],
    )
    carried = plan.carried
    total = size(sum(e.expected_bytes for e in carried))
    output.line()
    output.line(
        f"{len(carried)} of {len(plan.entries)} running containers would be carried, {total}."
    )
    _show_room(plan)
    _warn_of_next_kernel(plan)
    _explain_routes(plan)
    findings = {f.id: f for e in plan.entries for f in (*e.reasons, *e.notes)}
    if findings:
        output.line()
        output.line("What to do about it:")
    for finding in findings.values():
        output.show_item(finding.id, finding.advice)


def _show_room(plan: Plan) -> None:
    """Say where the checkpoints go, and whether they fit side by side."""
    wanted = demands(plan)
    found = uses(wanted.values(), plan.places)
    known = [use for use in found if use.free is not None]
    if not known:
        return
    output.line()
    output.line("Room for their checkpoints:")
    for use in known:
        output.show_item(use.path, _use(use))
    at_once = side_by_side(wanted.values(), plan.places)
    if at_once < len(wanted):
        output.line(f"  For more than {at_once} at once there is no room, so they take turns.")


def _warn_of_next_kernel(plan: Plan) -> None:
    """Say before the reboot what nobody could mend after it."""
    if lack := next_kernel_lack(plan.host):
        output.line()
        output.line("The newest kernel that is installed:")
        output.show_item(lack, NEXT_KERNEL)


def _use(use: Use) -> str:
    parts = [
        f"{size(use.lasting)} needed" if use.lasting else "",
        f"{size(use.passing)} {'more ' if use.lasting else ''}in passing" if use.passing else "",
        f"{size(use.free or 0)} free",
    ]
    where = " (in memory)" if use.in_memory and use.path != "memory" else ""
    return ", ".join(part for part in parts if part) + where


def _explain_routes(plan: Plan) -> None:
    """Say once for each reason why containers are not on the preferred route."""
    causes: dict[Finding, int] = {}
    for entry in plan.carried:
        if entry.route_reasons:
            first = entry.route_reasons[0]
            causes[first] = causes.get(first, 0) + 1
    if causes:
        output.line()
        output.line("On the runtime route, as the engine route cannot carry:")
    for finding, count in causes.items():
        output.show_item(f"{count} of them, {finding.id}", said(finding, 120))


def said(finding: Finding, limit: int) -> str:
    """Return what a rule says, with at most so many characters of the case in particular."""
    detail = f" ({printable(finding.detail, limit)})" if finding.detail else ""
    return f"{finding.sentence}{detail}"


def _why(entry: PlanEntry) -> str:
    if entry.verdict is Verdict.CARRY:
        details = (
            (n.id, f" ({printable(n.detail, 200)})" if n.detail else "") for n in entry.notes
        )
        return ", ".join(f"{name}{detail}" for name, detail in details)
    reason, *more = entry.reasons
    also = f" Also: {', '.join(r.id for r in more)}." if more else ""
    return f"{reason.id}: {said(reason, 120)}{also}"
