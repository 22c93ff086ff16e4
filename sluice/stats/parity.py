"""How far two forms of one model differ on the same rows."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sluice.stats.holdout import Predictions

ABSOLUTE, RELATIVE = 1e-5, 1e-5
"""Two answers agree within ABSOLUTE + RELATIVE * abs(trained answer)."""


@dataclass(frozen=True)
class ParityEvidence:
    """The served form beside the trained form, on rows that neither learned from.

    `difference` is the largest absolute one, measured against `allowed` at that answer; `beyond`
    and `flips` count rows. `missing` says why nothing could be compared.
    """

    n: int = 0
    difference: float | None = None
    allowed: float | None = None
    beyond: int = 0
    flips: int = 0
    missing: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the evidence as JSON-ready values."""
        return asdict(self)


def measure_parity(trained: Predictions, served: Predictions) -> ParityEvidence:
    """Compare answers row by row: probabilities and labels, or values for a regression.

    The row that is farthest beyond its own limit speaks. An answer that is no number where the
    other is one differs without bound.
    """
    n = len(trained.labels)
    if trained.classes != served.classes or np.shape(served.labels) != np.shape(trained.labels):
        return ParityEvidence(n, missing="the served form answers other classes or other rows")
    if n == 0:
        return ParityEvidence(0, missing="there is no held-out row to compare on")
    numbers = [item.labels if item.scores is None else item.scores for item in (trained, served)]
    wanted, found = (np.asarray(item, dtype=np.float64).reshape(n, -1) for item in numbers)
    with np.errstate(invalid="ignore"):
        differences = np.abs(found - wanted)
    differences[np.isnan(differences)] = np.inf
    differences[np.isnan(wanted) & np.isnan(found)] = 0.0
    limits = ABSOLUTE + RELATIVE * np.abs(np.nan_to_num(wanted))
    worst = np.unravel_index(int((differences / limits).argmax()), differences.shape)
    flips = 0 if trained.scores is None else int(np.sum(trained.labels != served.labels))
    return ParityEvidence(
        n=n,
        difference=float(differences[worst]),
        allowed=float(limits[worst]),
        beyond=int((differences > limits).any(axis=1).sum()),
        flips=flips,
    )
