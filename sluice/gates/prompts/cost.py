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
from sluice.stats.bootstrap import Estimate
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
        words = f"a case costs {format_figure(found.value)} {format_interval(found)} US dollars"
        return _judge_bounds(_Bounded(_NAME, "case_cost", found, limit, words))

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
        words = (
            f"a case uses {format_figure(ratio.value)} {format_interval(ratio)} times the "
            f"{evidence.unit} of v{evidence.active_version}"
        )
        note = _describe_mean(evidence)
        return _judge_bounds(_Bounded(name, "cost_ratio", ratio, limit, words, note))


@dataclass(frozen=True)
class _Bounded:
    """A figure with its bounds that may be at most the limit of a key, and the words about it."""

    name: str
    key: str
    found: Estimate
    limit: float
    words: str
    note: str = ""


def _judge_bounds(item: _Bounded) -> Finding:
    """Judge a figure by its bounds: both at most the limit pass, both above it fail."""
    found, limit, more = item.found, item.limit, "add cases to the evaluation set"
    if found.low is None or found.high is None:
        text = f"{item.name}: {found.n:,} cases, {FEWEST_CASES} needed for `{item.key}`"
        return report_missing(item.name, text, more)
    outcome, advice = Outcome.PASS, _advise_cheaper(item.key)
    if found.low > limit:
        outcome = Outcome.FAIL
    elif found.high > limit:
        outcome, advice = Outcome.INSUFFICIENT, f"{more} (now {found.n:,}), or {advice}"
    check = Check(
        item.name,
        outcome,
        measured=found.value,
        interval=found.interval,
        limit=limit,
        relation="<=",
        unit="cases",
        n=found.n,
        note=item.note,
    )
    sentence = f"{item.words}, limit {format_figure(limit)}, n {found.n:,} cases"
    return Finding(check, sentence, advice)


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
    return Finding(check, sentence, _advise_cheaper("cost_ratio"))


def _advise_cheaper(key: str) -> str:
    return (
        f"shorten the prompt or its answers, take a cheaper model, or raise `{key}` with a reason"
    )


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
