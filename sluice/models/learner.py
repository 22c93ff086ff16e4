"""One fit: an estimator on prepared rows, with calibration and a decision threshold."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import ModelConfig
from sluice.errors import TrainingImpossible
from sluice.models.threads import limit_threads

FOLDS = 5
"""Folds of the training rows on which probabilities are calibrated and a threshold is chosen."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Everything that one fit needs.

    `X` has shape (n, columns) and is prepared, `y` and `weights` have shape (n,).
    `iterations_parameter` names the estimator's parameter that counts its iterations.
    """

    model: ModelConfig
    estimator: Any
    iterations_parameter: str
    X: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    progress: Callable[[str], None]


def fit_estimator(fit: Fit) -> Any:
    """Fit the estimator, with calibration if configured, and return it without its reporter."""
    fits = 1 if fit.model.calibration == "none" else FOLDS + 1
    learner = _build_learner(fit, fits, routed=False)
    _run(fit, learner)
    return _strip_reporter(fit, learner)


def fit_with_threshold(fit: Fit, positive: Any) -> tuple[Any, float]:
    """Fit the estimator and choose the threshold that maximises the configured figure.

    The figure is averaged over folds of the rows; each fold is scored by a model that was not
    trained on it.

    Raises:
        TrainingImpossible: every row gets the same score, so that no threshold divides them.
    """
    import sklearn
    from sklearn.model_selection import TunedThresholdClassifierCV

    fits = (FOLDS + 1) * (1 if fit.model.calibration == "none" else FOLDS + 1)
    with sklearn.config_context(enable_metadata_routing=True):  # else weights never reach the folds
        tuned = TunedThresholdClassifierCV(
            _build_learner(fit, fits, routed=True),
            scoring=_build_scorer(str(fit.model.threshold), positive),
            response_method="predict_proba",
            cv=_build_folds(fit.model),
        )
        try:
            _run(fit, tuned)
        except ValueError as error:
            if "constant predictions" not in str(error):
                raise
            raise TrainingImpossible(
                "the features do not predict the target: every row gets the same score, so no "
                "threshold can be chosen; add features or rows"
            ) from error
    threshold = float(tuned.best_threshold_)
    fit.progress(f"threshold {threshold:.3f} has the best {fit.model.threshold} on {FOLDS} folds")
    return _strip_reporter(fit, tuned.estimator_), threshold


def fit_with_rate(fit: Fit, positive: Any, rate: float) -> tuple[Any, float]:
    """Fit the estimator and choose the lowest threshold that keeps a rate of false positives.

    At most the share `rate` of the negative rows, each scored by a model of folds that it is not
    in, has a score at or above the threshold; weights do not count there. Equal scores are on one
    side together.

    Raises:
        TrainingImpossible: so few negative rows that not even one may be a false positive.
    """
    scores = np.empty(len(fit.y))
    place = int(np.flatnonzero(np.unique(fit.y) == positive)[0])
    for number, (inside, outside) in enumerate(_build_folds(fit.model).split(fit.X, fit.y), 1):
        fit.progress(f"threshold: fold {number} of {FOLDS}")
        weights = None if fit.weights is None else fit.weights[inside]
        part = replace(
            fit,
            X=fit.X[inside],
            y=fit.y[inside],
            weights=weights,
            progress=lambda _line: None,
        )
        scores[outside] = fit_estimator(part).predict_proba(fit.X[outside])[:, place]
    threshold = find_rate_threshold(scores[fit.y != positive], rate)
    fit.progress(f"threshold {threshold:.3f} has {rate:.2%} false positives on {FOLDS} folds")
    return fit_estimator(fit), threshold


def find_rate_threshold(negatives: NDArray[np.float64], rate: float) -> float:
    """Return the lowest threshold that at most this share of the negatives' scores reaches.

    Raises:
        TrainingImpossible: there are fewer than 1/rate scores, or all that may not reach it are 1.
    """
    allowed = int(len(negatives) * rate + 1e-9)
    if not allowed:
        raise TrainingImpossible(
            f"model.threshold.false_positive_rate is {rate:g}, but there are only "
            f"{len(negatives):,} negative training rows; allowed: {1 / max(len(negatives), 1):g} "
            "and more, or add rows"
        )
    refused = float(np.sort(negatives)[::-1][allowed])  # the highest score that may not reach it
    threshold = float(np.nextafter(refused, np.inf))
    if threshold >= 1.0:
        raise TrainingImpossible(
            f"more than {rate:.2%} of the negative training rows have a score of 1: no threshold "
            "keeps that rate; raise model.threshold.false_positive_rate, or model.regularisation"
        )
    return threshold


def _build_learner(fit: Fit, fits: int, routed: bool) -> Any:
    from sklearn.calibration import CalibratedClassifierCV

    from sluice.models.reporting import ReportedEstimator, Reporter

    learner = ReportedEstimator(
        fit.estimator, Reporter(fit.progress, fits), fit.iterations_parameter
    )
    if routed:
        learner.set_fit_request(sample_weight=True)
    if fit.model.calibration == "none":
        return learner
    calibrated = CalibratedClassifierCV(
        learner, method=fit.model.calibration, ensemble=False, cv=_build_folds(fit.model)
    )
    return calibrated.set_fit_request(sample_weight=True) if routed else calibrated


def _build_folds(model: ModelConfig) -> Any:
    from sklearn.model_selection import StratifiedKFold

    return StratifiedKFold(FOLDS, shuffle=True, random_state=model.seed)


def _build_scorer(figure: str, positive: Any) -> Any:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, make_scorer

    figures = {
        "accuracy": make_scorer(accuracy_score),
        "balanced_accuracy": make_scorer(balanced_accuracy_score),
        "f1": make_scorer(f1_score, pos_label=positive, zero_division=0.0),
    }
    return figures[figure].set_score_request(sample_weight=False)


def _run(fit: Fit, learner: Any) -> None:
    from sklearn.exceptions import ConvergenceWarning

    weights = {} if fit.weights is None else {"sample_weight": fit.weights}
    with limit_threads(len(fit.y)), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # _strip_reporter reports it
        learner.fit(fit.X, fit.y, **weights)


def _strip_reporter(fit: Fit, learner: Any) -> Any:
    """Return the fitted model in scikit-learn's own types; report if it did not converge."""
    if fit.model.calibration == "none":
        estimator = learner.estimator_
    else:
        pair = learner.calibrated_classifiers_[0]
        estimator = pair.estimator = pair.estimator.estimator_
        learner.set_params(estimator=fit.estimator, cv=FOLDS)
        vars(learner).pop("_metadata_request", None)  # needed in this fit only
    steps, allowed = getattr(estimator, "n_iter_", None), getattr(estimator, "max_iter", None)
    if fit.model.kind == "linear" and steps is not None and np.max(steps) >= allowed:
        fit.progress(
            f"note: the fit did not converge in {allowed:,} iterations; raise model.max_iterations"
        )
    return estimator if fit.model.calibration == "none" else learner
