"""Rules as they hold for one service, and what they conclude of its signals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sluice.config.monitoring.rules import MonitoringConfig, MonitoringRule, RuleBook
from sluice.gates.finding import format_figure
from sluice.metrics import METRICS
from sluice.monitoring.signals import SIGNALS, Origin, Signal

RELATIVE = "performance-drop"
"""The signal whose figure is a change relative to its baseline."""
LARGEST = 3
"""Most subjects that an alert names."""


class RuleOutcome(StrEnum):
    """What a rule concludes of its signals."""

    BROKEN = "broken"
    HOLDS = "holds"
    UNKNOWN = "not judged"


@dataclass(frozen=True)
class ActiveRule:
    """A rule with a service's changes and its limit as a number.

    `limit` is None where the service's file lacks the figure that the rule takes: then
    `missing` says which.
    """

    name: str
    rule: MonitoringRule
    limit: float | None
    missing: str = ""
    capacity: float | None = None
    """Requests a second that the service's gateways can answer together."""
    changed: str = ""
    """The service's reason for its changes of the rule; empty where there are none."""

    @property
    def is_upper(self) -> bool:
        """Whether the rule is broken above its limit."""
        return self.rule.above is not None

    @property
    def origin(self) -> Origin:
        """Where the figures of its signal come from."""
        return SIGNALS[self.rule.signal].origin

    @property
    def unit(self) -> str:
        """The unit of its signal and its limit."""
        return SIGNALS[self.rule.signal].unit

    def is_beyond(self, figure: float) -> bool:
        """Whether a figure breaks the rule; the limit itself does not."""
        limit = self.limit if self.limit is not None else figure
        return figure > limit if self.is_upper else figure < limit


@dataclass(frozen=True)
class Judgement:
    """What a rule concludes at one moment, with the figure that decided.

    `value` and `limit` are in the signal's unit; they are None where nothing could be judged.
    """

    outcome: RuleOutcome
    at: datetime
    reason: str
    value: float | None = None
    limit: float | None = None
    n: int = 0
    subjects: tuple[str, ...] = ()
    """What breaks the rule, the worst first; empty where the signal has one subject."""
    start: datetime | None = None
    """Start of the window that decided."""
    version: int = 0


def list_active(
    book: RuleBook, config: MonitoringConfig, audience: str = "models"
) -> dict[str, ActiveRule]:
    """Return the enabled rules of a service by name, with its own changes.

    The names in `config.rules` were checked when the service was loaded.
    """
    found = {}
    for name, rule in book.rules.items():
        change = config.rules.get(name)
        merged = rule.merge(change) if change else rule
        if not merged.enabled or merged.applies_to not in (audience, "all"):
            continue
        limit, missing = _find_limit(merged, config)
        reason = change.reason if change else ""
        found[name] = ActiveRule(name, merged, limit, missing, config.capacity, reason)
    return found


def judge_rule(active: ActiveRule, signals: Iterable[Signal], at: datetime) -> Judgement:
    """Judge the signals of one window: broken if one of them is beyond the limit.

    What cannot be judged is *not judged*, with the reason. A signal is judged if it has a value,
    enough rows, the bound that the rule asks for, and the test that must confirm it.
    """
    if active.limit is None:
        return Judgement(RuleOutcome.UNKNOWN, at, active.missing)
    given = list(signals)
    if not given:
        return Judgement(RuleOutcome.UNKNOWN, at, f"no figure of `{active.rule.signal}` was given")
    reasons = {signal: _explain_unknown(active, signal) for signal in given}
    judged = [signal for signal, reason in reasons.items() if not reason]
    if not judged:
        return Judgement(
            RuleOutcome.UNKNOWN, at, "; ".join(sorted(set(filter(None, reasons.values()))))
        )
    broken = [signal for signal in judged if _is_broken(active, signal)]
    ordered = sorted(broken or judged, key=lambda item: _rank(active, item), reverse=True)
    outcome = RuleOutcome.BROKEN if broken else RuleOutcome.HOLDS
    return _conclude(active, outcome, ordered, at)


def write_figure(value: float, unit: str) -> str:
    """Return a figure with its unit, such as `412 ms`; a share as percent."""
    if unit == "share":
        return f"{100 * value:.3g} %"
    if unit in ("PSI", "ratio"):  # its name says what a PSI is
        return f"{value:.3g}{' times' if unit == 'ratio' else ''}"
    if unit in ("ms", "s", "requests", "feedbacks", "rows"):
        unit = unit.removesuffix("s") if value == 1 and len(unit) > 2 else unit
        return f"{value:,.4g} {unit}" if abs(value) < 10_000 else f"{value:,.0f} {unit}"
    return f"{value:.3g}{' ' + unit if unit else ''}"


def describe_figure(signal: Signal, unit: str) -> str:
    """Return a signal's figure in words: `PSI of age 0.41`, `auc fell by 22.3 %, from .841 to ..`.

    A signal without a value has no words.
    """
    if signal.value is None:
        return ""
    if signal.name == RELATIVE:
        return describe_fall(signal.subject, signal.value, signal.baseline)
    words = SIGNALS[signal.name].words
    given = words.format(subject=signal.subject, figure=write_figure(signal.value, unit))
    if signal.subject and "{subject}" not in words:
        given = f"{signal.subject}: {given}"
    return " ".join(given.split())


def describe_fall(metric: str, drop: float, baseline: float | None) -> str:
    """Return a relative change in words; `drop` above 0 is worse, in shares of `baseline`.

    An error, such as `mae`, rises where it gets worse. Without a baseline only the change is told.
    """
    sign = METRICS[metric].sign if metric in METRICS else 1.0
    change = -sign * drop
    verb = "fell" if change < 0 else "rose"
    words = f"{metric} {verb} by {100 * abs(change):.3g} %" if change else f"{metric} is unchanged"
    if baseline is None:
        return words
    before, after = format_figure(baseline), format_figure(baseline * (1.0 + change))
    return f"{words}, from {before} to {after}" if change else f"{words} at {before}"


def _find_limit(rule: MonitoringRule, config: MonitoringConfig) -> tuple[float | None, str]:
    """Return a rule's limit as a number, or what the service's file lacks."""
    limit = rule.above if rule.above is not None else rule.below
    if isinstance(limit, str):
        figure = getattr(config, limit)
        return figure, "" if figure is not None else f"`monitoring.{limit}` is not in its file"
    if rule.signal == "throughput-share" and config.capacity is None:
        return None, "`monitoring.capacity` is not in its file"
    return limit, ""


def _explain_unknown(active: ActiveRule, signal: Signal) -> str:
    """Return why a signal cannot be judged; empty where it can."""
    rule, of = active.rule, f" of {signal.subject}" if signal.subject else ""
    if signal.value is None:
        return f"{rule.signal}{of}: {signal.reason}"
    if signal.n < rule.minimum:
        return f"{rule.signal}{of}: n {signal.n:,}, needed {rule.minimum:,}"
    if rule.by == "bound" and signal.bound is None:
        return f"{rule.signal}{of}: it came without a bound"
    if rule.confirmed and signal.confirmed is None:
        return f"{rule.signal}{of}: it came without a test"
    return ""


def _is_broken(active: ActiveRule, signal: Signal) -> bool:
    figure = signal.bound if active.rule.by == "bound" else signal.value
    is_confirmed = not active.rule.confirmed or bool(signal.confirmed)
    return figure is not None and active.is_beyond(figure) and is_confirmed


def _rank(active: ActiveRule, signal: Signal) -> float:
    value = signal.value if signal.value is not None else 0.0
    return value if active.is_upper else -value


def _conclude(
    active: ActiveRule, outcome: RuleOutcome, ordered: list[Signal], at: datetime
) -> Judgement:
    worst, unit = ordered[0], active.unit
    value, limit = worst.value or 0.0, active.limit or 0.0
    is_broken = outcome is RuleOutcome.BROKEN
    words = f"{describe_figure(worst, unit)}, {_write_side(active, is_broken, worst)}"
    words += f" {write_figure(limit, unit)}"
    if worst.bound is not None and active.rule.by == "bound" and active.is_beyond(value):
        words += f" (at least {write_figure(worst.bound, unit)}, 95 % sure)"
    if active.rule.confirmed and not is_broken and active.is_beyond(value):
        words = f"{describe_figure(worst, unit)}, not confirmed by its test"
    if is_broken and len(ordered) > 1:
        others = [item.subject for item in ordered[1:LARGEST]]
        more = len(ordered) - 1 - len(others)
        words += f"; also {', '.join(others)}{f' and {more} more' if more else ''}"
    if worst.reason:
        words += f"; {worst.reason}"
    return Judgement(
        outcome,
        at,
        f"{words}, n {worst.n:,}",
        value=worst.value,
        limit=active.limit,
        n=worst.n,
        subjects=tuple(item.subject for item in ordered if item.subject) if is_broken else (),
        start=worst.start,
        version=worst.version,
    )


def _write_side(active: ActiveRule, is_broken: bool, worst: Signal) -> str:
    """Return on which side of the limit a figure is; a relative change has a limit of its own."""
    if worst.name != RELATIVE:
        return ("" if is_broken else "not ") + ("above" if active.is_upper else "below")
    is_beyond = active.is_beyond(worst.value or 0.0)
    found = "beyond" if is_broken else "not proved beyond" if is_beyond else "within"
    return f"{found} the limit of"


def group_signals(signals: Iterable[Signal]) -> Mapping[datetime, list[Signal]]:
    """Return signals by the end of their window, oldest first."""
    found: dict[datetime, list[Signal]] = {}
    for signal in sorted(signals, key=lambda item: item.end):
        found.setdefault(signal.end, []).append(signal)
    return found
