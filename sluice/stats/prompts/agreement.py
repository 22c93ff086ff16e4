"""Whether a judge agrees with people: Cohen's kappa with bootstrap bounds over cases."""

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from sluice.stats.bootstrap import Estimate, bound_draws
from sluice.stats.prompts.bounds import Floats, draw_weights

Weighting = Literal["none", "linear", "quadratic"]


def bound_kappa(
    judge: Sequence[Hashable],
    people: Sequence[Hashable],
    categories: Sequence[Hashable],
    weighting: Weighting = "none",
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return Cohen's kappa of two lists of labels with one-sided 95 % bounds (Cohen 1960, 1968).

    1 is full agreement, 0 what chance gives. `categories` are all labels, in their order where
    they have one; with `linear` or `quadratic` weights a disagreement counts by its distance.
    Without any label of a second category kappa is not defined, and the estimate has no value.

    Raises:
        ValueError: the lists differ in length, or a label is no category.
    """
    if len(judge) != len(people):
        raise ValueError(f"{len(judge)} labels of the judge, {len(people)} of people")
    places = {category: place for place, category in enumerate(categories)}
    unknown = sorted({repr(item) for item in (*judge, *people) if item not in places})
    if unknown:
        raise ValueError(f"label {unknown[0]} is not among the categories {list(categories)}")
    n, size = len(judge), len(categories)
    if n == 0:
        return Estimate(None, None, None, 0)
    cells = np.array([places[a] * size + places[b] for a, b in zip(judge, people, strict=True)])
    found = np.eye(size * size)[cells]
    distance = _measure_distances(size, weighting)
    value = _compute_kappas(found.sum(axis=0, keepdims=True), distance)[0]
    kappas = _compute_kappas(draw_weights(n, draws, seed) @ found, distance)
    return bound_draws(float(value), kappas, n)


def _measure_distances(size: int, weighting: Weighting) -> Floats:
    """Return how much each disagreement counts; shape (size, size), 0 on the diagonal."""
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    if weighting == "none":
        return (apart > 0).astype(np.float64)
    return apart if weighting == "linear" else apart**2


def _compute_kappas(counts: Floats, distance: Floats) -> Floats:
    """Return kappa of each table of counts; shape (tables, size * size) to (tables,)."""
    size = len(distance)
    tables = counts.reshape(-1, size, size)
    totals = tables.sum(axis=(1, 2))
    expected = (
        np.einsum("ti,tj->tij", tables.sum(axis=2), tables.sum(axis=1)) / totals[:, None, None]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        kappas: Floats = 1.0 - (tables * distance).sum(axis=(1, 2)) / (expected * distance).sum(
            axis=(1, 2)
        )
    return kappas
