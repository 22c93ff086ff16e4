"""CUPED: less variance by what is known of each unit from before the experiment."""

from dataclasses import dataclass

import numpy as np

from sluice.stats.experiments.means import Values


@dataclass(frozen=True, eq=False)
class AdjustedValues:
    """Values y - theta (x - mean x), the theta, and the share of the variance that is left."""

    values: Values
    theta: float
    variance_ratio: float
    """Variance of the adjusted values by that of the plain ones; 1 - r^2 in theory."""
    known: int
    """Units with a covariate; the others are taken at its mean, and not adjusted."""


def adjust_values(values: Values, covariate: Values, arm: Values | None = None) -> AdjustedValues:
    """Adjust each unit's value by a covariate from before the experiment; NaN: it has none.

    theta = cov(y, x) / var(x), pooled over arms (Deng and others 2013). With `arm` (0 or 1 per
    unit) both moments are taken within the arms, so that the effect itself is no part of them. The
    covariate's mean is that of both arms: it does not depend on the arm, so the difference stays
    unbiased.

    Raises:
        ValueError: values and covariate have different lengths, or their squares are no finite
            numbers.
    """
    if len(values) != len(covariate):
        raise ValueError(f"found {len(values)} values and {len(covariate)} covariates")
    known = np.isfinite(covariate)
    if not known.any():
        return AdjustedValues(values, 0.0, 1.0, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.where(known, covariate, np.mean(covariate[known]))
        centred_x, centred_y = _centre(x, arm), _centre(values, arm)
        squares = [float(np.sum(one**2)) for one in (centred_x, centred_y)]
    if not np.all(np.isfinite(squares)):
        raise ValueError(
            f"found {np.max(np.abs([x, values])):g} in a unit, whose square is too large for a "
            "number; next: a `cap`, and find who sends it"
        )
    spread, before = squares
    theta = float(np.sum(centred_x * centred_y)) / spread if spread > 0 else 0.0
    adjusted = values - theta * (x - np.mean(x))
    after = float(np.sum(_centre(adjusted, arm) ** 2))
    return AdjustedValues(adjusted, theta, after / before if before > 0 else 1.0, int(known.sum()))


def linearise_ratio(sums: Values, counts: Values) -> Values:
    """Return (x - R n) / mean(n) per unit, with R of all units: its mean over an arm is R_arm - R.

    So a ratio can be adjusted and looked at as a mean is (Budylin and others 2018).

    Raises:
        ValueError: nothing was counted.
    """
    total = float(np.sum(counts))
    if total <= 0:
        raise ValueError(f"found nothing counted in {len(counts)} units; needed: a count above 0")
    return (sums - float(np.sum(sums)) / total * counts) * (len(counts) / total)


def _centre(values: Values, arm: Values | None) -> Values:
    if arm is None:
        return values - np.mean(values)
    centred = np.array(values, dtype=float)
    for name in np.unique(arm):
        inside = arm == name
        centred[inside] -= np.mean(centred[inside])
    return centred
