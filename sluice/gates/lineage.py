"""Checks of where a candidate comes from: no older data than the champion, and another model."""

from collections.abc import Iterator

from sluice.config.evaluation import EvaluationConfig
from sluice.gates.finding import Finding
from sluice.stats.comparison import EvaluationEvidence
from sluice.verdict import Check, Outcome

CHAMPION, DATA, IDENTITY = "champion in the registry", "data against champion", "identity"
"""Names of the three checks."""


def judge_lineage(limits: EvaluationConfig, evidence: EvaluationEvidence) -> Iterator[Finding]:
    """Judge the champion's presence, the age of the data, and whether there is anything new."""
    if evidence.lineage.champion is not None and not evidence.has_champion:
        yield _report_missing_champion(evidence)
    if evidence.lineage.champion is not None and evidence.has_champion:
        yield _judge_data(limits, evidence)
    if evidence.has_champion:
        yield _judge_identity(limits, evidence)


def list_lineage_notices(limits: EvaluationConfig, evidence: EvaluationEvidence) -> list[str]:
    """Return what is not known, and what the configuration lets pass with a notice."""
    checks = [finding.check for finding in judge_lineage(limits, evidence)]
    return [f"{check.name}: {check.note}" for check in checks if check.outcome is Outcome.LISTED]


def _report_missing_champion(evidence: EvaluationEvidence) -> Finding:
    version = evidence.lineage.champion
    sentence = f"v{version} serves, but the registry does not have it: nothing to compare with"
    advice = (
        "make another version champion "
        f"(`sluice restore {evidence.lineage.service or 'SERVICE'} VERSION`) and release again; or "
        "let a person decide, by `evaluation.on_insufficient: approve`"
    )
    return Finding(Check(CHAMPION, Outcome.INSUFFICIENT, note=sentence), sentence, advice)


def _judge_data(limits: EvaluationConfig, evidence: EvaluationEvidence) -> Finding:
    mine, other = evidence.lineage.candidate_data, evidence.lineage.champion_data
    if mine is None or other is None:
        model = "champion" if other is None else "candidate"
        note = f"the {model} carries no data version, so its age is not known"
        return Finding(Check(DATA, Outcome.LISTED, note=note), note)
    older = mine < other
    sentence = f"trained on data v{mine}, the champion on data v{other}"
    if older:
        sentence = f"trained on data v{mine}, older than the champion's data v{other}"
    check = Check(
        DATA,
        _choose_outcome(older, limits.on_older_data),
        measured=mine,
        limit=other,
        relation=">=",
        unit="version",
        note=sentence,
    )
    advice = (
        "release the newest data version; if older data is meant, say so by "
        "`evaluation.on_older_data: notice`"
    )
    return Finding(check, sentence, advice)


def _judge_identity(limits: EvaluationConfig, evidence: EvaluationEvidence) -> Finding:
    sentence = "predicts otherwise than the champion on some held-out rows"
    if evidence.identical:
        sentence = f"predicts exactly what the champion does on all {evidence.n:,} held-out rows"
    outcome = _choose_outcome(evidence.identical, limits.on_identical)
    advice = (
        "nothing is new, so keep the champion; if such a release is meant, say so by "
        "`evaluation.on_identical: notice`"
    )
    return Finding(Check(IDENTITY, outcome, n=evidence.n, note=sentence), sentence, advice)


def _choose_outcome(found: bool, choice: str) -> Outcome:
    if not found:
        return Outcome.PASS
    return Outcome.FAIL if choice == "fail" else Outcome.LISTED
