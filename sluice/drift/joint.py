"""Joint drift: can a classifier tell the reference's rows from the current ones?

It sees what no column shows alone, such as a correlation that changed (Lopez-Paz, Oquab 2017,
"Revisiting classifier two-sample tests"). It is reported beside the columns, never instead.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.drift.columns import ColumnUnreadable, encode_levels, read_numbers
from sluice.drift.counts import Rows, TableRows
from sluice.drift.findings import Outcome
from sluice.drift.profile import ReferenceColumn, ReferenceProfile
from sluice.models.threads import limit_threads
from sluice.stats.ranking import prepare_auc

MOST_ROWS = 20_000
"""Most rows of either side that are used; more are drawn from, with a seed."""
LEAST_ROWS = 500
"""Fewest rows of either side."""
FOLDS = 5
LIMIT = 0.55
"""The area under the ROC curve that the lower one-sided 99 % bound must exceed for an alarm."""
LEVEL = 0.99
MOST_CODES = 250
"""Most levels that have a code of their own; the classifier takes at most 255."""
ITERATIONS, LEAVES, SMALLEST_LEAF = 50, 15, 50
REPEATS = 2
"""How often each column is shuffled to see how much of the area it carries."""
CARRIED_ROWS = 4_000
"""Most rows on which columns are shuffled."""
NOTHING_SHARED = "both sides have no feature of the profile in common"
SHOWN = 10
"""How many of the most unlike rows are returned."""


@dataclass(frozen=True)
class Carrier:
    """How much the area falls when one column is shuffled: 0 where it does not matter."""

    column: str
    loss: float


@dataclass(frozen=True)
class JointDrift:
    """What the classifier of reference and current rows finds.

    `auc` is cross-fitted: each row is scored by a model that was not fitted on it; .5 = the rows
    cannot be told apart. `bounds` are its two-sided 98 % interval, of which each side is a
    one-sided 99 % bound (DeLong). `carriers` are the columns with a loss, largest first; `unlike`
    the places of the current rows that look least like the reference, with their scores, 0 to 1.
    All figures are None where it is not judged, which `reason` explains.
    """

    reference_rows: int
    rows: int
    outcome: Outcome
    auc: float | None = None
    bounds: tuple[float, float] | None = None
    carriers: tuple[Carrier, ...] = ()
    unlike: tuple[tuple[int, float], ...] = ()
    reason: str = ""


def compare_rows(
    profile: ReferenceProfile,
    reference: Rows | pa.Table,
    current: Rows | pa.Table,
    seed: int = 0,
    least: int = LEAST_ROWS,
) -> JointDrift:
    """Compare the features of reference and current rows by a domain classifier.

    Gradient boosting on histograms, five folds, at most 20,000 rows a side. A column that one side
    lacks, or has in another type, is left out: it is found by itself. An alarm: the lower one-sided
    99 % bound of the area under the ROC curve exceeds .55.
    """
    sides = [TableRows(one) if isinstance(one, pa.Table) else one for one in (reference, current)]
    counts = [one.count for one in sides]
    if min(counts) < least:
        which = " of the reference" if counts[0] < least else ""
        reason = f"not enough data: {min(counts):,} rows{which}, {least:,} needed"
        return JointDrift(counts[0], counts[1], "not judged", reason=reason)
    random = np.random.default_rng(seed)
    drawn = [_draw(count, random) for count in counts]
    names, numbers = _encode(profile, sides, drawn)
    sizes = len(drawn[0]), len(drawn[1])
    if not names:
        return JointDrift(*sizes, "not judged", reason=NOTHING_SHARED)
    is_current = np.repeat([False, True], sizes)
    scores, carried = _cross_fit(numbers, is_current, _find_codes(profile, names), random, seed)
    auc, low, high = bound_auc(is_current, scores)
    unlike = _find_unlike(scores[sizes[0] :], drawn[1])
    return JointDrift(
        *sizes,
        "alarm" if low > LIMIT else "clean",
        auc,
        (low, high),
        _list_carriers(names, carried),
        unlike,
    )


def bound_auc(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the area under the ROC curve and its one-sided 99 % bounds, 0 to 1.

    The standard error is DeLong's: variances of the placements of positives and of negatives, each
    with n - 1 (DeLong, DeLong, Clarke-Pearson 1988).
    """
    ranking = prepare_auc(positive, scores)
    auc = float(ranking(np.ones((1, len(scores))))[0])
    influence = ranking.differentiate()
    variance = 0.0
    for side in (influence[positive], influence[~positive]):
        variance += float(np.square(side).sum()) * len(side) / max(len(side) - 1, 1)
    reach = NormalDist().inv_cdf(LEVEL) * float(np.sqrt(variance))
    return auc, max(auc - reach, 0.0), min(auc + reach, 1.0)


def _draw(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(random.choice(count, MOST_ROWS, replace=False))


def _encode(
    profile: ReferenceProfile, sides: Sequence[Rows], drawn: Sequence[NDArray[np.int64]]
) -> tuple[list[str], NDArray[np.float64]]:
    """Return the features that both sides have, and their numbers, shape (rows, features)."""
    names, columns = [], []
    for one in profile.columns.values():
        # The reference rows made the vocabulary: they lack none of its words.
        if one.watched.role != "feature" or one.watched.form == "unknown_words":
            continue
        if not all(one.watched.source in side.names for side in sides):
            continue
        try:
            if one.watched.form == "level":
                numbers = _encode_levels(one, sides, drawn)
            else:
                pairs = zip(sides, drawn, strict=True)
                numbers = np.concatenate([_encode_numbers(one, *pair) for pair in pairs])
        except ColumnUnreadable:
            continue
        names.append(one.name)
        columns.append(numbers)
    return names, np.column_stack(columns) if columns else np.empty((0, 0))


def _encode_numbers(
    one: ReferenceColumn, rows: Rows, drawn: NDArray[np.int64]
) -> NDArray[np.float64]:
    places = pa.array(drawn)
    cells = rows.read(one.watched.source).take(places)
    origin = one.watched.origin
    moments = rows.read(origin).take(places) if origin and origin in rows.names else None
    return read_numbers(one.watched, cells, moments, one.vocabulary)


def _encode_levels(
    one: ReferenceColumn, sides: Sequence[Rows], drawn: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return the codes of the most frequent levels of both sides together; others share the next.

    The most frequent levels of one side alone are partly so by chance: the other side would have
    fewer of them without any drift.
    """
    parts = []
    rows: Counter[str] = Counter()
    for side, places in zip(sides, drawn, strict=True):
        codes, names = encode_levels(side.read(one.watched.source).take(pa.array(places)))
        counts = np.bincount(codes[codes >= 0], minlength=len(names))
        rows.update(dict(zip(names, counts.tolist(), strict=True)))
        parts.append((codes, names))
    order = sorted(rows, key=lambda name: (-rows[name], name))[:MOST_CODES]
    known = {name: code for code, name in enumerate(order)}
    numbered = [
        np.array([*(known.get(name, len(known)) for name in names), np.nan])[codes]
        for codes, names in parts
    ]
    return np.asarray(np.concatenate(numbered), dtype=np.float64)


def _find_codes(profile: ReferenceProfile, names: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([profile.columns[name].watched.form == "level" for name in names])


def _cross_fit(
    numbers: NDArray[np.float64],
    is_current: NDArray[np.bool_],
    codes: NDArray[np.bool_],
    random: np.random.Generator,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each row's score out of its fold, and the mean loss of each shuffled column."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    scores = np.empty(len(numbers))
    losses = []
    model = HistGradientBoostingClassifier(
        max_iter=ITERATIONS,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=SMALLEST_LEAF,
        categorical_features=codes,
        early_stopping=False,
        random_state=seed,
    )
    with limit_threads(len(numbers)):
        for training, test in _split_folds(numbers, is_current, seed):
            model.fit(numbers[training], is_current[training])
            scores[test] = model.predict_proba(numbers[test])[:, 1]
            losses.append(_shuffle(model, numbers[test], is_current[test], random))
    return scores, np.mean(losses, axis=0)


def _split_folds(
    numbers: NDArray[np.float64], is_current: NDArray[np.bool_], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the places of the training rows and of the others, fold by fold.

    A row that comes a few times, such as a record that a caller sends again, is in one fold: else
    the classifier would recognise it. One that fills a leaf is a frequent combination of values.
    """
    from sklearn.model_selection import StratifiedKFold

    rows = np.where(np.isnan(numbers), np.inf, numbers)
    _, places, copies = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    places = places.reshape(-1)
    is_repeated = (copies > 1) & (copies < SMALLEST_LEAF)
    if not is_repeated.any():
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        yield from folds.split(numbers, is_current)
        return
    alone = np.flatnonzero(~is_repeated[places])
    groups = places.copy()
    groups[alone] = len(copies) + np.arange(len(alone))
    _, groups = np.unique(groups, return_inverse=True)
    fold_of = np.random.default_rng(seed).permutation(int(groups.max()) + 1) % FOLDS
    for fold in range(FOLDS):
        is_test = fold_of[groups] == fold
        yield np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _shuffle(
    model: Any,
    numbers: NDArray[np.float64],
    is_current: NDArray[np.bool_],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return how much of the fold's area each column carries: its loss when it is shuffled."""
    chosen = random.permutation(len(numbers))[: CARRIED_ROWS // FOLDS]
    numbers, is_current = numbers[chosen], is_current[chosen]
    if is_current.all() or not is_current.any():
        return np.zeros(numbers.shape[1])
    before = _find_area(model, numbers, is_current)
    losses = np.zeros(numbers.shape[1])
    for place in range(numbers.shape[1]):
        for _ in range(REPEATS):
            shuffled = numbers.copy()
            shuffled[:, place] = random.permutation(shuffled[:, place])
            losses[place] += (before - _find_area(model, shuffled, is_current)) / REPEATS
    return losses


def _find_area(model: Any, numbers: NDArray[np.float64], is_current: NDArray[np.bool_]) -> float:
    ranking = prepare_auc(is_current, model.predict_proba(numbers)[:, 1])
    return float(ranking(np.ones((1, len(numbers))))[0])


def _list_carriers(names: Sequence[str], losses: NDArray[np.float64]) -> tuple[Carrier, ...]:
    found = [
        Carrier(name, float(loss))
        for name, loss in zip(names, losses.tolist(), strict=True)
        if loss > 0.0
    ]
    return tuple(sorted(found, key=lambda one: (-one.loss, one.column)))


def _find_unlike(
    scores: NDArray[np.float64], places: NDArray[np.int64]
) -> tuple[tuple[int, float], ...]:
    order = np.argsort(-scores, kind="stable")[:SHOWN]
    return tuple((int(places[at]), float(scores[at])) for at in order.tolist())
