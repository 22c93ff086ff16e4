"""One fit: an estimator on prepared rows, with progress, calibration and a threshold."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sluice.config.model import ModelConfig
from sluice.errors import TrainingImpossible

ONE_THREAD_ROWS = 100_000
"""Rows below which one thread is used: a second one gains .2 s on an idle machine and can cost
10 s on a busy one, where native threads spin while they wait for each other."""
REPORTED_FITS = 6
"""About how many of several fits are reported."""
REPORTED_STEPS = 4
"""Steps in which a single fit is done and reported."""
FOLDS = 5
"""Folds of the training rows on which probabilities are calibrated and a threshold is chosen."""


@contextmanager
def limit_threads(rows: int) -> Iterator[None]:
    """Limit native code (OpenMP, BLAS) to one thread below 100,000 rows.

    Predictions do not depend on it.
    """
    if rows >= ONE_THREAD_ROWS:
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield


@dataclass
class Reporter:
    """Counts fits and reports about one in `total / 6`.

    A single fit on all rows reports its iterations instead.
    """

    progress: Callable[[str], None]
    total: int
    done: int = 0

    def count(self) -> None:
        """Count one more fit that begins, and report it if it is due."""
        self.done += 1
        if self.total > 1 and (self.done - 1) % max(1, self.total // REPORTED_FITS) == 0:
            self.progress(f"fit {self.done} of {self.total}")


class ReportedEstimator(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that reports when it is fitted; it is used in fitting and never kept.

    `iterations_parameter` names the parameter that counts iterations; a single fit is then done in
    four steps, and the model is the same as from one step.
    """

    def __init__(self, estimator: Any, reporter: Reporter, iterations_parameter: str = "") -> None:
        self.estimator = estimator
        self.reporter = reporter
        self.iterations_parameter = iterations_parameter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ReportedEstimator":
        """Fit a copy of the estimator."""
        self.reporter.count()
        self.estimator_ = clone(self.estimator)
        if self.iterations_parameter and self.reporter.total == 1:
            self._fit_in_steps(X, y, sample_weight)
        else:
            self.estimator_.fit(X, y, sample_weight=sample_weight)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        return self

    def _fit_in_steps(self, X: Any, y: Any, sample_weight: Any) -> None:
        total = int(getattr(self.estimator, self.iterations_parameter))
        marks = sorted(
            {max(1, total * step // REPORTED_STEPS) for step in range(1, REPORTED_STEPS + 1)}
        )
        self.estimator_.set_params(warm_start=True)
        for mark in marks:
            self.estimator_.set_params(**{self.iterations_parameter: mark})
            self.estimator_.fit(X, y, sample_weight=sample_weight)
            self.reporter.progress(f"{mark:,} of {total:,} iterations done")
        self.estimator_.set_params(warm_start=False)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Return the fitted estimator's probabilities, shape (n, classes)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(lambda self: hasattr(self.estimator, "decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Return the fitted estimator's margins, which calibration prefers to probabilities."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def predict(self, X: Any) -> Any:
        """Return the fitted estimator's predictions, shape (n,)."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def __sklearn_clone__(self) -> "ReportedEstimator":
        """Return an unfitted copy with the same reporter."""
        copy = ReportedEstimator(clone(self.estimator), self.reporter, self.iterations_parameter)
        if get_config()["enable_metadata_routing"]:
            copy.set_fit_request(sample_weight=True)
        return copy

    def __sklearn_tags__(self) -> Any:
        """Return the estimator's own tags."""
        return self.estimator.__sklearn_tags__()


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


def _build_learner(fit: Fit, fits: int, routed: bool) -> Any:
    from sklearn.calibration import CalibratedClassifierCV

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
