"""What the evaluation gate says about older held-out rows, where only the newest ones decide."""

from sluice.config.evaluation import EvaluationConfig
from sluice.gates.finding import Finding, format_figure, format_interval
from sluice.stats.comparison import EvaluationEvidence, MetricFigure
from sluice.verdict import Check, Outcome

OLDER = "older rows"


def find_recency_gap(limits: EvaluationConfig, evidence: EvaluationEvidence) -> list[str]:
    """Return a sentence where the evidence is of all rows, but only the newest ones may decide."""
    if not limits.recent or evidence.missing or evidence.older is not None:
        return []
    return [f"evaluation.recent is {limits.recent}, but the newest rows were not measured alone"]


def advise_more_recent(evidence: EvaluationEvidence) -> str:
    """Return the advice where the newest rows are too few; empty where all rows decide."""
    if evidence.older is None:
        return ""
    more = " (older ones are there)" if evidence.older.n else ""
    return f"wait for more new rows, raise split.holdout, or widen evaluation.recent{more}"


def list_older(limits: EvaluationConfig, evidence: EvaluationEvidence) -> list[Finding]:
    """List each metric that decides, as it is on the older rows; it decides nothing there."""
    older = evidence.older
    if older is None or not older.n:
        return []
    names = dict.fromkeys((limits.primary, *limits.floors))
    found = [older.find_metric(name) for name in names]
    listed = [_list_figure(figure, older.n) for figure in found if figure is not None]
    if listed:
        return listed
    note = "; ".join(older.missing) or "not measured"
    return [Finding(Check(OLDER, Outcome.LISTED, n=older.n, note=note), note)]


def _list_figure(figure: MetricFigure, n: int) -> Finding:
    value = figure.candidate
    note = "shown, does not decide"
    if figure.champion is not None and figure.change is not None:
        note += (
            f"; champion {format_figure(figure.champion.value)}, difference "
            f"{format_figure(figure.change.value)} {format_interval(figure.change)}"
        )
    check = Check(
        f"{figure.name}, {OLDER}",
        Outcome.LISTED,
        measured=value.value,
        interval=value.interval,
        n=n,
        note=note if value.value is not None else "cannot be measured",
    )
    return Finding(check, note)


def list_recency_notices(evidence: EvaluationEvidence) -> list[str]:
    """Say which rows decide, and how many do not; empty where all of them do."""
    older = evidence.older
    if older is None:
        return []
    total = evidence.n + older.n
    since = f" (from {older.since} on)" if older.since else ""
    return [
        f"evaluation.recent: {older.recent}: the newest {evidence.n:,} of {total:,} held-out rows "
        f"decide{since}; the {older.n:,} older ones are listed"
    ]
