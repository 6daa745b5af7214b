"""What a rule is, and how its details are written."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from drainer.model import ROUTES, EngineFacts, Finding, HostFacts, Route, Subject

HostCheck = Callable[[HostFacts, EngineFacts], str | None]
Check = Callable[[Subject], str | None]

_SHOWN_LENGTH = 60
_SHOWN_ITEMS = 3


class Severity(StrEnum):
    """What follows when a rule answers."""

    REFUSAL = "refusal"
    """Nothing at all can be carried on this host."""
    SKIP = "skip"
    """This container is skipped."""
    NOTE = "note"
    """This container is carried, but its owner should know."""


@dataclass(frozen=True, slots=True)
class HostRule:
    """A rule about the host, for all containers at once.

    `check` returns the detail of the case (possibly empty) when the rule answers, else None.
    """

    id: str
    sentence: str
    advice: str
    check: HostCheck
    routes: tuple[Route, ...] = ROUTES
    """The routes that are impossible when it answers."""

    @property
    def severity(self) -> Severity:
        """A host rule always refuses."""
        return Severity.REFUSAL

    def ask(self, host: HostFacts, engine: EngineFacts) -> Finding | None:
        """Return the finding, or None when the rule does not answer."""
        detail = self.check(host, engine)
        if detail is None:
            return None
        return Finding(self.id, self.sentence, self.advice, detail)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about one container.

    `check` returns the detail of the case (possibly empty) when the rule answers, else None.
    """

    id: str
    sentence: str
    advice: str
    check: Check
    severity: Severity = Severity.SKIP
    routes: tuple[Route, ...] = ROUTES
    """The routes on which it counts."""

    def ask(self, subject: Subject) -> Finding | None:
        """Return the finding, or None when the rule does not answer."""
        detail = self.check(subject)
        if detail is None:
            return None
        return Finding(self.id, self.sentence, self.advice, detail)


def refusal(
    rule_id: str, sentence: str, advice: str, *, routes: tuple[Route, ...] = ROUTES
) -> Callable[[HostCheck], HostRule]:
    """Make a refusal of the function below."""
    return lambda check: HostRule(rule_id, sentence, advice, check, routes)


def skip(
    rule_id: str, sentence: str, advice: str, *, routes: tuple[Route, ...] = ROUTES
) -> Callable[[Check], Rule]:
    """Make a skip reason of the function below."""
    return lambda check: Rule(rule_id, sentence, advice, check, routes=routes)


def note(rule_id: str, sentence: str, advice: str) -> Callable[[Check], Rule]:
    """Make a note of the function below."""
    return lambda check: Rule(rule_id, sentence, advice, check, Severity.NOTE)


def when(*, case: bool) -> str | None:
    """Answer without a detail if this is the case."""
    return "" if case else None


def shown(text: str, length: int = _SHOWN_LENGTH) -> str:
    """Return untrusted text as at most so many printable ASCII characters."""
    # Cut first: a label can be megabytes long, and every character escapes to at least one.
    escaped = text[: length + 1].encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= length else escaped[: length - 3] + "..."


def listed(items: Collection[str], length: int = _SHOWN_LENGTH) -> str | None:
    """Answer with the first few of some untrusted texts as the detail, if there are any."""
    if not items:
        return None
    first = ", ".join(shown(item, length) for item in list(items)[:_SHOWN_ITEMS])
    more = len(items) - _SHOWN_ITEMS
    return f"{first} and {more} more" if more > 0 else first
