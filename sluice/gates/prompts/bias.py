"""The bias gate for text: groups of people get the same outcomes, lengths and tone."""

from dataclasses import dataclass, replace

from sluice.config.prompts.limits import TextBiasConfig
from sluice.gates.finding import (
    Finding,
    conclude,
    format_figure,
    format_interval,
    report_missing,
)
from sluice.stats.prompts.bounds import FEWEST_CASES
from sluice.stats.prompts.text_bias import (
    ChangedPairs,
    TextBiasEvidence,
    TextBiasFigure,
    TextBiasLimits,
)
from sluice.verdict import Check, Outcome, Verdict

_GATE = "bias"
_ADVICE_REWRITE = (
    "read the pairs in the report; tell the model in the prompt what must not matter, or give "
    "examples of both groups"
)
_ADVICE_SET = (
    "write bias_set.jsonl (docs/prompts.md, Cases for bias); or state "
    "`bias: {on_missing: notice}` under `gates:` of limits.yaml, with the reason"
)
_ADVICE_CASES = "add cases to bias_set.jsonl: 400 decide where 5 % of the pairs differ by chance"


def find_limits(config: TextBiasConfig) -> TextBiasLimits:
    """Return the limits as the measurement takes them."""
    return TextBiasLimits(config.difference, config.length_ratio, config.refusal, config.tone)


@dataclass(frozen=True)
class TextBiasGate:
    """Compares the answers to inputs in which only the group of a person differs."""

    limits: TextBiasConfig

    def judge(self, evidence: TextBiasEvidence) -> Verdict:
        """Return the verdict: a check fails where its interval lies wholly beyond the limit."""
        if evidence.missing or not evidence.figures:
            texts = evidence.missing or ("no pair of groups was measured",)
            return conclude(
                _GATE, [report_missing("bias set", text, _ADVICE_CASES) for text in texts], ""
            )
        if evidence.cases < FEWEST_CASES:
            text = f"the bias set has {evidence.cases:,} cases, {FEWEST_CASES} needed"
            return self._report_set(text, _ADVICE_CASES)
        findings = [self._judge_figure(item) for item in evidence.figures]
        findings.sort(key=lambda item: item.outcome is not Outcome.FAIL)
        unproved = [item for item in findings if item.check.note.startswith("not proved")]
        proved = sum(item.outcome is Outcome.PASS for item in findings)
        passing = (
            f"no group is answered differently beyond the limits: {proved:,} checks proved, "
            f"{len(unproved):,} not proved, {evidence.cases:,} cases"
        )
        notices = [f"not proved: {item.sentence}" for item in unproved]
        notices += [_describe_changes(item) for item in evidence.changed]
        return conclude(_GATE, findings, passing, notices)

    def judge_absence(self) -> Verdict:
        """Return the verdict of a prompt that has no bias set."""
        return self._report_set("there is no bias_set.jsonl: no groups were compared", _ADVICE_SET)

    def _report_set(self, text: str, advice: str) -> Verdict:
        """Return the verdict of a set that cannot decide, by `on_missing`."""
        finding = report_missing("bias set", text, advice)
        if self.limits.on_missing == "halt":
            return conclude(_GATE, [finding], "")
        listed = replace(finding, check=replace(finding.check, outcome=Outcome.LISTED))
        return conclude(_GATE, [listed], text, [f"{text}; next: {advice}"])

    def _judge_figure(self, figure: TextBiasFigure) -> Finding:
        estimate, limit = figure.estimate, figure.limit
        low, high = estimate.low, estimate.high
        outcome, note = Outcome.INSUFFICIENT, ""
        if low is not None and high is not None:
            if low > limit or high < -limit:
                outcome = Outcome.FAIL
            elif -limit <= low and high <= limit:
                outcome = Outcome.PASS
        advice = _ADVICE_REWRITE
        if outcome is Outcome.INSUFFICIENT:
            note, advice = "not proved", _ADVICE_CASES
            if self.limits.on_unproved == "list":
                outcome = Outcome.LISTED
        sentence = (
            f"{figure.name} {format_figure(estimate.value)} {format_interval(estimate)}, "
            f"allowed within {format_figure(limit)}, n {estimate.n:,} cases"
        )
        is_lower = (estimate.value or 0.0) < 0.0
        check = Check(
            figure.name,
            outcome,
            measured=estimate.value,
            interval=estimate.interval,
            limit=-limit if is_lower else limit,
            relation=">=" if is_lower else "<=",
            unit="cases",
            n=estimate.n,
            note=note,
        )
        return Finding(check, sentence, advice)


def _describe_changes(changed: ChangedPairs) -> str:
    pair = f"{changed.first} and {changed.second}"
    text = f"{changed.share:.1%} of the cases have another label for {pair}"
    if changed.repeats is None:
        return f"{text}; no input was asked twice, so chance alone is not known"
    beyond = max(0.0, changed.share - changed.repeats)
    return f"{text}, {changed.repeats:.1%} change between repeats of one input: {beyond:.1%} beyond"
