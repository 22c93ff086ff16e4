"""The prompt gate and the safety gate: above its limits, no worse than the active version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sluice.config.prompts.limits import PromptLimits
from sluice.gates.finding import (
    Finding,
    conclude,
    format_figure,
    format_interval,
    report_missing,
)
from sluice.stats.bootstrap import count_needed_rows, step_down
from sluice.stats.prompts.bounds import FEWEST_CASES
from sluice.stats.prompts.criteria import CriterionFigure, PromptEvidence
from sluice.verdict import Check, Outcome, Verdict

_SHOWN = 3
"""Cases without a result that a sentence names, and reasons for it."""
_NEXT = "; next: "
_ADVICE_RUN = "look why each of them was not run, then evaluate again: what did run costs nothing"
_ADVICE_CASES = "add cases to the evaluation set"
_ADVICE_KEEP = (
    "keep the active version; look at the worst cases in the report, then write a new one"
)


@dataclass(frozen=True)
class CriteriaGate:
    """Judges criteria of a prompt version by its limits; `gate` names the verdict."""

    limits: PromptLimits
    gate: Literal["prompt", "safety"] = "prompt"

    def judge(self, evidence: PromptEvidence) -> Verdict:
        """Return the verdict; a criterion without any case, or a case not run, never passes."""
        missing = self._find_missing(evidence)
        if missing and not evidence.figures:
            return conclude(self.gate, missing, "")
        decisive = [item for item in evidence.figures if not item.shown_only]
        shown = [self._report_unproved(item) for item in evidence.figures if item.shown_only]
        findings = [
            *missing,
            *(_judge_limit(item) for item in decisive),
            *self._judge_comparisons(decisive, evidence.active_version),
            *shown,
        ]
        notices = [item.sentence for item in shown if item.outcome is Outcome.LISTED]
        notices += [item.check.note for item in findings if _is_small_fall(item)]
        notices += _list_uncompared(decisive, evidence.active_version)
        return conclude(self.gate, findings, _describe_pass(evidence), notices)

    def _find_missing(self, evidence: PromptEvidence) -> list[Finding]:
        if evidence.cases == 0:
            return [report_missing("cases", "the evaluation set has no cases", _ADVICE_CASES)]
        found = []
        if not evidence.figures:
            text = f"no criterion was measured on the {evidence.cases:,} cases"
            found.append(report_missing("criteria", text, "name criteria in `eval_criteria`"))
        elif all(item.shown_only for item in evidence.figures):
            text = "no criterion decides: each is shown only"
            advice = "add a criterion without a judge, or prove the judge"
            found.append(report_missing("criteria", text, advice))
        count, most = len(evidence.not_run), self.limits.max_not_run
        if count > most:
            named, advice = _group_reasons(evidence.not_run)
            noun = "case was" if count == 1 else "cases were"
            text = f"{count:,} {noun} not run, {most:,} allowed: {named}"
            check = Check(
                "cases not run",
                Outcome.INSUFFICIENT,
                measured=count,
                limit=most,
                relation="<=",
                n=evidence.cases,
                note=named,
            )
            found.append(Finding(check, text, advice))
        return found

    def _report_unproved(self, figure: CriterionFigure) -> Finding:
        halts = self.limits.on_unproved_judge == "halt"
        estimate = figure.candidate
        sentence = (
            f"{figure.name} {format_figure(estimate.value)} decides nothing: {figure.shown_only}"
        )
        check = Check(
            figure.name,
            Outcome.INSUFFICIENT if halts else Outcome.LISTED,
            measured=estimate.value,
            interval=estimate.interval,
            n=estimate.n,
            note=f"shown only: {figure.shown_only}",
        )
        return Finding(check, sentence, "prove the judge: `sluice prompt prove-judge NAME`")

    def _judge_comparisons(
        self, figures: Sequence[CriterionFigure], version: int | None
    ) -> list[Finding]:
        compared = [item for item in figures if item.difference is not None]
        fell = step_down([item.p_value for item in compared]).rejected
        return [
            self._judge_comparison(item, bool(is_lower), version)
            for item, is_lower in zip(compared, fell, strict=True)
        ]

    def _judge_comparison(
        self, figure: CriterionFigure, fell: bool, version: int | None
    ) -> Finding:
        difference, margin = figure.difference, self.limits.margin
        assert difference is not None  # noqa: S101
        name = f"{figure.name} against v{version}"
        if difference.n == 0:
            text = f"{name}: the versions share no case of this criterion"
            return report_missing(name, text, "evaluate the active version on this evaluation set")
        if difference.low is None or difference.high is None:
            text = f"{name}: {difference.n:,} cases, {FEWEST_CASES} needed"
            return report_missing(name, text, _ADVICE_CASES)
        outcome, note, advice = Outcome.INSUFFICIENT, "", _ADVICE_KEEP
        if difference.low > -margin:
            outcome = Outcome.PASS
            if difference.high < 0.0:
                note = f"{figure.name} fell a little, within the margin of {format_figure(margin)}"
        elif fell:
            outcome = Outcome.FAIL
        else:
            advice = _advise_more_cases(difference.spread or 0.0, margin, difference.n)
            note = advice
        values = (
            f"{format_figure((figure.active or 0.0) + (difference.value or 0.0))} against "
            f"v{version} {format_figure(figure.active)}"
        )
        sentence = (
            f"{figure.name} {values}, difference {format_figure(difference.value)} "
            f"{format_interval(difference)}, limit {format_figure(-margin)}, "
            f"n {difference.n:,} cases"
        )
        check = Check(
            name,
            outcome,
            measured=difference.value,
            interval=difference.interval,
            limit=-margin,
            relation=">",
            unit="cases",
            n=difference.n,
            note=note or values,
        )
        return Finding(check, sentence, advice)


def _judge_limit(figure: CriterionFigure) -> Finding:
    """Judge a criterion by its own limit: pass above it, fail not above it, else insufficient."""
    estimate, limit = figure.candidate, figure.limit
    name = f"{figure.name} limit"
    if estimate.n == 0:
        text = f"{figure.name}: no case has this criterion"
        return report_missing(name, text, f"add cases with `{figure.name}`, or remove it")
    if estimate.low is None or estimate.high is None:
        text = f"{figure.name}: {estimate.n:,} cases, {FEWEST_CASES} needed"
        return report_missing(name, text, _ADVICE_CASES)
    if estimate.low > limit:
        outcome, advice = Outcome.PASS, ""
    elif estimate.high <= limit:
        outcome = Outcome.FAIL
        advice = (
            f"look at the cases that miss {figure.name} in the report, then write a new version"
        )
    else:
        outcome, advice = Outcome.INSUFFICIENT, _advise_limit(figure)
    sentence = (
        f"{figure.name} {format_figure(estimate.value)} {format_interval(estimate)}, "
        f"limit > {format_figure(limit)}, n {estimate.n:,} cases"
    )
    check = Check(
        name,
        outcome,
        measured=estimate.value,
        interval=estimate.interval,
        limit=limit,
        relation=">",
        unit="cases",
        n=estimate.n,
        note=advice if outcome is Outcome.INSUFFICIENT else "",
    )
    return Finding(check, sentence, advice)


def _advise_limit(figure: CriterionFigure) -> str:
    estimate = figure.candidate
    if figure.kind == "mean":
        distance = (estimate.value or 0.0) - figure.limit
        return _advise_distance(estimate.spread or 0.0, distance, estimate.n)
    if figure.needed is None:
        return (
            f"{format_figure(estimate.value)} is not above the limit: more cases hardly help, "
            "write a better version"
        )
    return (
        f"about {figure.needed:,} cases would decide at this rate (now {estimate.n:,}): add cases"
    )


def _advise_distance(spread: float, distance: float, n: int) -> str:
    if distance <= 0.0:
        return "the mean is not above the limit: more cases hardly help, write a better version"
    return _advise_more_cases(spread, distance, n)


def _advise_more_cases(spread: float, margin: float, n: int) -> str:
    needed = max(count_needed_rows(spread, margin), FEWEST_CASES)
    if needed > n:
        return f"about {needed:,} cases would decide (now {n:,}): add cases"
    return f"the figure is near its limit: add cases (now {n:,}), or write a better version"


def _is_small_fall(finding: Finding) -> bool:
    return finding.outcome is Outcome.PASS and "fell a little" in finding.check.note


def _list_uncompared(figures: Sequence[CriterionFigure], version: int | None) -> list[str]:
    """Return which criteria have nothing of the active version to be compared with."""
    if version is None:
        return []
    names = [item.name for item in figures if item.difference is None]
    return [f"{name} is not compared: v{version} has none of its criteria" for name in names]


def _describe_pass(evidence: PromptEvidence) -> str:
    parts = [
        f"{item.name} {format_figure(item.candidate.value)}"
        for item in evidence.figures
        if not item.shown_only
    ]
    is_compared = any(item.difference for item in evidence.figures if not item.shown_only)
    beside = f", no worse than v{evidence.active_version}" if is_compared else ""
    return f"{', '.join(parts)} on {evidence.cases:,} cases{beside}"


def _group_reasons(not_run: Sequence[str]) -> tuple[str, str]:
    """Return the cases that were not run by their reason, and what to do.

    One reason that all of them have, and that says what to do, is named with it.
    """
    reasons: dict[str, list[str]] = {}
    for sentence in not_run:
        case, _, reason = sentence.partition(": ")
        reasons.setdefault(reason, []).append(case)
    parts = []
    for reason, cases in list(reasons.items())[:_SHOWN]:
        more = f" and {len(cases) - _SHOWN:,} more" if len(cases) > _SHOWN else ""
        parts.append(f"{', '.join(cases[:_SHOWN])}{more}: {reason.partition(_NEXT)[0]}")
    if len(reasons) > _SHOWN:
        left = sum(len(cases) for cases in list(reasons.values())[_SHOWN:])
        parts.append(f"and {left:,} more")
    own = next(iter(reasons)).partition(_NEXT)[2] if len(reasons) == 1 else ""
    advice = f"{own}, then evaluate again: what did run costs nothing" if own else _ADVICE_RUN
    return "; ".join(parts), advice
