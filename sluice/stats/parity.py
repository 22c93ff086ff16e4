"""How far a model's ONNX export differs from its native model on the same rows."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sluice.stats.holdout import Predictions

ABSOLUTE, RELATIVE = 1e-5, 1e-5
"""Two predictions agree within ABSOLUTE + RELATIVE * abs(native prediction)."""

PROBABILITY, TARGET = "probability", "target units"
"""The units of a difference: of predicted probabilities, or of a regression's predictions."""


@dataclass(frozen=True)
class ParityEvidence:
    """The ONNX export compared with the native model on held-out rows.

    `difference` is the absolute difference that exceeds its limit most; `allowed` is the limit of
    that prediction. `beyond` counts rows beyond their limit, `flips` rows with another label.
    `unit` is the unit of the difference and of its limit. `missing` is the reason why nothing could
    be compared.
    """

    n: int = 0
    difference: float | None = None
    allowed: float | None = None
    beyond: int = 0
    flips: int = 0
    missing: str = ""
    unit: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-ready values."""
        return asdict(self)


def measure_parity(native: Predictions, exported: Predictions) -> ParityEvidence:
    """Compare predictions row by row: probabilities and labels, or values for a regression.

    The reported row is the one farthest beyond its own limit. The difference is infinite where only
    one of the two predictions is a number.
    """
    n = len(native.labels)
    if native.classes != exported.classes or np.shape(exported.labels) != np.shape(native.labels):
        return ParityEvidence(n, missing="the ONNX export predicts other classes or other rows")
    if n == 0:
        return ParityEvidence(0, missing="there is no held-out row to compare on")
    numbers = [item.labels if item.scores is None else item.scores for item in (native, exported)]
    expected, found = (np.asarray(item, dtype=np.float64).reshape(n, -1) for item in numbers)
    with np.errstate(invalid="ignore"):
        differences = np.abs(found - expected)
    differences[np.isnan(differences)] = np.inf
    differences[np.isnan(expected) & np.isnan(found)] = 0.0
    limits = ABSOLUTE + RELATIVE * np.abs(np.nan_to_num(expected))
    worst = np.unravel_index(int((differences / limits).argmax()), differences.shape)
    flips = 0 if native.scores is None else int(np.sum(native.labels != exported.labels))
    return ParityEvidence(
        n=n,
        difference=float(differences[worst]),
        allowed=float(limits[worst]),
        beyond=int((differences > limits).any(axis=1).sum()),
        flips=flips,
        unit=TARGET if native.scores is None else PROBABILITY,
    )


def describe_difference(expected: Predictions, answers: Predictions) -> str:
    """Return in words how answers to a sample differ from the expected ones; empty: they agree."""
    found = measure_parity(expected, answers)
    if found.missing:
        return found.missing
    if not (found.beyond or found.flips):
        return ""
    return (
        f"answers differ from those of its evaluation: by {found.difference:.3g}, "
        f"limit {found.allowed:.3g}, in {found.beyond:,} of {found.n:,} rows, "
        f"{found.flips:,} labels flip"
    )
