"""A gate's evidence as named numbers, which the registry stores and plots as metrics.

Every name has the form `group/name` or `group/name/part`, of letters, digits, `_`, `.` and `-`.
"""

import re

from sluice.config.evaluation import EvaluationConfig
from sluice.stats.bias import BiasEvidence
from sluice.stats.bootstrap import Estimate
from sluice.stats.comparison import EvaluationEvidence

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]+")


def name_evaluation_figures(evidence: EvaluationEvidence) -> dict[str, float]:
    """Return each metric of candidate and champion, their difference, and the calibration.

    Where the newest rows decide, the metrics on the older ones are named `older/...`.
    """
    named: dict[str, Estimate | None] = {"calibration/gap": evidence.gap}
    named["calibration/slope"] = evidence.slope
    for figure in evidence.metrics:
        named[f"candidate/{figure.name}"] = figure.candidate
        named[f"champion/{figure.name}"] = figure.champion
        named[f"difference/{figure.name}"] = figure.change
    for figure in evidence.older.metrics if evidence.older else ():
        named[f"older/candidate/{figure.name}"] = figure.candidate
        named[f"older/champion/{figure.name}"] = figure.champion
    figures = {key: found.value for key, found in named.items() if found is not None}
    figures["evaluation/rows"] = float(evidence.n)
    if evidence.older:
        figures["older/rows"] = float(evidence.older.n)
    return _keep_known(figures)


def name_primary_figures(
    config: EvaluationConfig, evidence: EvaluationEvidence
) -> dict[str, float]:
    """Return the primary metric with its bounds and its floor or ceiling, by name."""
    figure = evidence.find_metric(config.primary)
    if figure is None:
        return {}
    value, low, high = figure.candidate.value, figure.candidate.low, figure.candidate.high
    named = {"primary/value": value, "primary/low": low, "primary/high": high}
    return _keep_known({**named, "primary/limit": config.floors.get(config.primary)})


def name_bias_figures(evidence: BiasEvidence) -> dict[str, float]:
    """Return each judged comparison of groups, and fairlearn's summaries, by name."""
    figures = {
        f"fairness/{item.kind}/{_name_part(item.group)}": item.estimate.value
        for item in evidence.figures
        if item.judged
    }
    figures |= {
        f"fairlearn/{_name_part(item.name)}/{_name_part(item.column)}": item.value
        for item in evidence.summaries
    }
    return _keep_known(figures)


def _name_part(text: str) -> str:
    """Return a part of a name: `sex=female, race=black` is `sex_female_race_black`."""
    return _FORBIDDEN.sub("_", text).strip("_") or "none"


def _keep_known(figures: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}
