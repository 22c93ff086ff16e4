"""What a model said about a set of rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers, aligned with the rows they were asked for.

    `labels` has shape (n,): predicted classes at the model's own threshold, or values (regression).
    `scores` is the positive class's probability, shape (n,), for binary problems; probabilities of
    shape (n, k) with columns in the order of `classes` for multiclass; None for regression.
    """

    labels: NDArray[Any]
    scores: NDArray[np.float64] | None = None
    classes: tuple[Any, ...] = ()
