"""The rules of eligibility: one short function each, with its id, sentence and advice."""

from drainer.model import EngineFacts, Finding, HostFacts, Route, Subject
from drainer.rules import host as _host
from drainer.rules import mounts, namespaces, processes, room, settings
from drainer.rules import notes as _notes
from drainer.rules.rule import HostRule, Rule, Severity

__all__ = [
    "NOTES",
    "REFUSALS",
    "SKIPS",
    "HostRule",
    "Rule",
    "Severity",
    "notes",
    "refusals",
    "skip_reasons",
]

REFUSALS: tuple[HostRule, ...] = _host.RULES
SKIPS: tuple[Rule, ...] = (
    *settings.RULES,
    *namespaces.RULES,
    *mounts.RULES,
    *processes.RULES,
    namespaces.provider_skipped,
    *room.RULES,
    namespaces.group_incomplete,
)
NOTES: tuple[Rule, ...] = _notes.RULES


def refusals(host: HostFacts, engine: EngineFacts, route: Route) -> tuple[Finding, ...]:
    """Return why this route can carry nothing on this host, the most fundamental first."""
    rules = (rule for rule in REFUSALS if route in rule.routes)
    return tuple(found for rule in rules if (found := rule.ask(host, engine)))


def skip_reasons(subject: Subject, route: Route) -> tuple[Finding, ...]:
    """Return every reason why this route cannot carry a container, the most fundamental first."""
    rules = (rule for rule in SKIPS if route in rule.routes)
    return tuple(found for rule in rules if (found := rule.ask(subject)))


def notes(subject: Subject) -> tuple[Finding, ...]:
    """Return what the owner of this container should know though it is carried."""
    return tuple(found for rule in NOTES if (found := rule.ask(subject)))
