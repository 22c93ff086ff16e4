"""What every kind of model gives: a column transformer and an estimator."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Parts:
    """A kind's two unfitted scikit-learn parts.

    `stages` names the estimator's parameter that counts its iterations, for kinds that can go on
    from where they stopped; empty for the others.
    """

    features: Any
    estimator: Any
    stages: str = ""
