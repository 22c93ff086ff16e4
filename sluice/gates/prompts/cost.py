"""The cost gate: a case costs not much more than with the active version, nor than a limit."""

from dataclasses import dataclass

from sluice.config.prompts.limits import PromptLimits
from sluice.gates.finding import (
    Finding,
    conclude,
    format_figure,
    format_interval,
    report_missing,
)
from sluice.stats.prompts.bounds import FEWEST_CASES
from sluice.stats.prompts.cost import CostEvidence
from sluice.verdict import Check, Outcome, Verdict

_GATE = "cost"
_NAME = "mean cost of a case"
_ADVICE_PRICE = (
    "see that the provider counts tokens, state the model's price in configs/llm/providers.yaml, "
    "then evaluate again"
)
_ADVICE_RUN = "look why no case was run, then evaluate again"
_ADVICE_CHEAPER = "shorten the prompt or its answers, take a cheaper model"
_ADVICE_SHORTER = f"{_ADVICE_CHEAPER}, or raise `cost_ratio` with a reason"


@dataclass(frozen=True)
class CostGate:
    """Compares the cost of a case with the active version's."""

    limits: PromptLimits

    def judge(self, evidence: CostEvidence) -> Verdict:
        """Return the verdict; an unknown price never passes.

        The limit in US dollars holds with and without an active version.
        """
        if evidence.unknown:
            noun = "case" if evidence.unknown == 1 else "cases"
            text = f"the cost of {evidence.unknown:,} {noun} is not known"
            return conclude(_GATE, [report_missing(_NAME, text, _ADVICE_PRICE)], "")
        findings = [self._judge_comparison(evidence)]
        if (own := self._judge_dollars(evidence)) is not None:
            is_alone = evidence.active_version is None
            findings = [own] if is_alone else [*findings, own]
        return conclude(_GATE, findings, "; ".join(item.sentence for item in findings))

    def _judge_dollars(self, evidence: CostEvidence) -> Finding | None:
        """Judge the mean cost of a case by the limit in US dollars; None without such a limit."""
        limit, found = self.limits.case_cost, evidence.dollars
        if limit is None or (found is None and evidence.active_version is None):
            return None
        if found is None:
            return report_missing(_NAME, "the cost of a case is not known", _ADVICE_PRICE)
        if found.low is None or found.high is None:
            text = f"{_NAME}: {found.n:,} cases, {FEWEST_CASES} needed for the limit in US dollars"
            return report_missing(_NAME, text, "add cases to the evaluation set")
        sentence = (
            f"a case costs {format_figure(found.value)} {format_interval(found)} US dollars, limit "
            f"{format_figure(limit)}, n {found.n:,} cases"
        )
        outcome = _decide(found.low, found.high, limit)
        advice = f"{_ADVICE_CHEAPER}, or raise `case_cost` with a reason"
        if outcome is Outcome.INSUFFICIENT:
            advice = f"add cases to the evaluation set (now {found.n:,}), or {advice}"
        check = Check(
            _NAME,
            outcome,
            measured=found.value,
            interval=found.interval,
            limit=limit,
            relation="<=",
            unit="cases",
            n=found.n,
        )
        return Finding(check, sentence, advice)

    def _judge_comparison(self, evidence: CostEvidence) -> Finding:
        """Judge the ratio to the active version's cost; without one the cost is listed."""
        if evidence.active_version is None:
            return _report_alone(evidence)
        name = f"{_NAME} against v{evidence.active_version}"
        ratio, limit = evidence.ratio, self.limits.cost_ratio
        if ratio is None or ratio.n == 0:
            text = f"{name}: the versions share no case"
            return report_missing(name, text, "evaluate the active version on this evaluation set")
        if evidence.active_mean == 0.0:
            return _judge_beside_nothing(evidence, name)
        if ratio.low is None or ratio.high is None:
            text = f"{name}: {ratio.n:,} cases, {FEWEST_CASES} needed"
            return report_missing(name, text, "add cases to the evaluation set")
        outcome = _decide(ratio.low, ratio.high, limit)
        sentence = (
            f"a case uses {format_figure(ratio.value)} {format_interval(ratio)} times the "
            f"{evidence.unit} of v{evidence.active_version}, limit {format_figure(limit)}, "
            f"n {ratio.n:,} cases"
        )
        check = Check(
            name,
            outcome,
            measured=ratio.value,
            interval=ratio.interval,
            limit=limit,
            relation="<=",
            unit="cases",
            n=ratio.n,
            note=_describe_mean(evidence),
        )
        advice = _ADVICE_SHORTER
        if outcome is Outcome.INSUFFICIENT:
            advice = f"add cases to the evaluation set (now {ratio.n:,}), or {_ADVICE_SHORTER}"
        return Finding(check, sentence, advice)


def _decide(low: float, high: float, limit: float) -> Outcome:
    """Return the outcome of a figure with its bounds; at most the limit passes."""
    if low > limit:
        return Outcome.FAIL
    return Outcome.PASS if high <= limit else Outcome.INSUFFICIENT


def _judge_beside_nothing(evidence: CostEvidence, name: str) -> Finding:
    """Judge a version beside one that uses nothing: any use is beyond every ratio."""
    uses = bool(evidence.mean)
    sentence = (
        f"a case uses {format_figure(evidence.mean)} {evidence.unit}, with "
        f"v{evidence.active_version} nothing"
    )
    check = Check(
        name,
        Outcome.FAIL if uses else Outcome.PASS,
        measured=evidence.mean,
        limit=0.0,
        relation="<=",
        unit=evidence.unit,
        note=_describe_mean(evidence),
    )
    return Finding(check, sentence, _ADVICE_SHORTER)


def _report_alone(evidence: CostEvidence) -> Finding:
    """Return the finding without an active version; without any cost there is no evidence."""
    if evidence.mean is None:
        return report_missing(_NAME, "no case has all its answers", _ADVICE_RUN)
    note = f"{_describe_mean(evidence)}; no active version to compare with"
    check = Check(_NAME, Outcome.LISTED, measured=evidence.mean, note=note)
    return Finding(check, note)


def _describe_mean(evidence: CostEvidence) -> str:
    active = (
        "" if evidence.active_mean is None else f", {format_figure(evidence.active_mean)} before"
    )
    return f"{format_figure(evidence.mean)} {evidence.unit} a case{active}"
