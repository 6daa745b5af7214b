"""What a check is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from drainer.doctor.facts import Facts
from drainer.doctor.routes import RouteReport
from drainer.model import EngineFacts, Route
from drainer.rules.rule import HostRule


class CheckVerdict(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    NOTE = "note"
    """Something can be carried nevertheless, but its owner should know."""
    PROBLEM = "problem"
    """Because of it nothing can be carried, or what was carried is in danger."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. All but `id` and `verdict` is for people."""

    id: str
    verdict: CheckVerdict
    found: str
    """What was found; may be untrusted."""
    meaning: str
    """What that means, in a sentence."""
    advice: str = ""
    """What to do about it; empty when there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Context:
    """The facts, and what the routes make of them."""

    facts: Facts
    reports: Sequence[RouteReport] = ()

    @property
    def engine(self) -> EngineFacts:
        """What Docker says of itself; where it is silent, what speaks against nothing."""
        return self.facts.engine or EngineFacts("")

    @property
    def can_carry(self) -> bool:
        """Whether some route works."""
        return any(report.works for report in self.reports)

    def uses(self, route: Route) -> bool:
        """Tell whether a drain may go by this route."""
        return any(report.route is route and report.works for report in self.reports)

    @property
    def graver(self) -> CheckVerdict:
        """The verdict on an obstacle: one that does not stop every route is worth a note."""
        return CheckVerdict.NOTE if self.can_carry else CheckVerdict.PROBLEM

    def ruled(self, check_id: str, rules: Sequence[HostRule], found: str, meaning: str) -> Check:
        """Let rules decide: the first that answers speaks, else it is all right."""
        for rule in rules:
            finding = rule.ask(self.facts.host, self.engine)
            if finding:
                shown = "; ".join(filter(None, (finding.detail or found, finding.id)))
                return Check(check_id, self.graver, shown, finding.sentence, finding.advice)
        return Check(check_id, CheckVerdict.OK, found, meaning)
