"""What the gates will be able to tell of a new service at its size, in sentences."""

from sluice.metrics import METRICS
from sluice.profile.draft import Draft
from sluice.profile.limits import choose_calibration, choose_floor, choose_margin, half_width
from sluice.profile.trial import Reading

SMALL = 100
"""Fewest held-out rows of a group that is judged alone."""
POSITIVES = 50


def describe_prospects(draft: Draft) -> list[dict[str, str]]:
    """Give one row a question that a gate answers: what it can tell on these held-out rows."""
    rows = [_describe_margin(draft)]
    rows += [_describe_floor(reading, draft.held_out) for reading in draft.trial.readings]
    if draft.problem == "binary":
        judged = choose_calibration(draft.trial, draft.held_out)
        rows.append(
            {
                "gate": "evaluation",
                "question": "are probabilities honest",
                "at this size": "judged" if judged else "shown, not judged: see the YAML",
            }
        )
    rows += [_describe_groups(name, groups, draft) for name, groups in draft.groups.items()]
    if not draft.sensitive:
        rows.append(
            {
                "gate": "bias",
                "question": "is a group treated worse",
                "at this size": f"not asked: {draft.roles.reason}",
            }
        )
    return rows


def _describe_margin(draft: Draft) -> dict[str, str]:
    margin = choose_margin(draft.trial, draft.held_out)
    found = (
        f"a margin of {margin.value:g}; equal models pass (power .8) down to "
        f"{margin.detectable:.2g} on {margin.held_out:,} held-out rows"
    )
    if not margin.fine_enough:
        rows = round(margin.needed / draft.split.holdout, -2)
        found = (
            f"the margin of {margin.value:g} is finer than {margin.held_out:,} held-out rows can "
            f"tell ({margin.detectable:.2g}): a second release will often halt as insufficient "
            f"until {margin.needed:,} are held out (about {rows:,.0f} rows in all)"
        )
    metric = draft.trial.primary.metric
    return {
        "gate": "evaluation",
        "question": f"is a candidate worse by {metric}",
        "at this size": found,
    }


def _describe_floor(reading: Reading, held_out: int) -> dict[str, str]:
    reach, floor = half_width(reading, held_out), choose_floor(reading, held_out)
    better = METRICS[reading.metric].greater_is_better
    found = f"{reading.model.value or 0.0:.3g} in the trial, known to {reach:.2g} either way"
    if floor is None:
        found += f"; no floor: too near to {reading.trivial:.3g}, which needs no features"
    else:
        found += f"; {'floor' if better else 'ceiling'} {floor:g}"
    return {
        "gate": "evaluation",
        "question": f"is {reading.metric} good enough",
        "at this size": found,
    }


def _describe_groups(name: str, groups: dict[str, int], draft: Draft) -> dict[str, str]:
    alone = [f"{group} ({rows:,})" for group, rows in groups.items() if rows >= SMALL]
    pooled = [f"{group} ({rows:,})" for group, rows in groups.items() if rows < SMALL]
    found = f"held-out rows: {', '.join(alone)}" if alone else "no group has rows enough"
    if pooled:
        found += f"; fewer than {SMALL}, so pooled: {', '.join(pooled)}"
    rate = _positive_rate(draft)
    if rate:
        found += f"; true-positive rates from {POSITIVES / rate:,.0f} rows of a group on"
    return {
        "gate": "bias",
        "question": f"is a group by {name} treated worse",
        "at this size": found,
    }


def _positive_rate(draft: Draft) -> float:
    target, positive = draft.roles.target, draft.roles.positive
    if positive is None or not target.levels:
        return 0.0
    counts = dict(zip(target.levels, target.counts, strict=True))
    return float(counts.get(positive.value, 0)) / target.rows
