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

ROWS = 100_000
"""Rows below which one thread does: a second one gains a fifth of a second on an idle machine and
can cost ten on a busy one, where native threads spin while they wait for each other."""


@contextmanager
def limit_threads(rows: int) -> Iterator[None]:
    """Let native code (OpenMP, BLAS) use one thread for few rows, as many as it likes for many.

    Answers do not hang on it.
    """
    if rows >= ROWS:
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield


LINES = 6
STAGES = 4


@dataclass
class Reporter:
    """Counts fits and tells of about one in `total / 6`.

    A fit on all rows that stands alone tells of its iterations instead.
    """

    progress: Callable[[str], None]
    total: int
    done: int = 0

    def count(self) -> None:
        """Note that one more fit begins."""
        self.done += 1
        if self.total > 1 and (self.done - 1) % max(1, self.total // LINES) == 0:
            self.progress(f"fit {self.done} of {self.total}")


class ReportedEstimator(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that tells a reporter when it is fitted; it is used in fitting and never kept.

    `stages` names the parameter that counts iterations; a lone fit then goes in four steps, which
    gives the very same model as one.
    """

    def __init__(self, estimator: Any, reporter: Reporter, stages: str = "") -> None:
        self.estimator = estimator
        self.reporter = reporter
        self.stages = stages

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ReportedEstimator":
        """Fit a copy of the estimator."""
        self.reporter.count()
        self.estimator_ = clone(self.estimator)
        if self.stages and self.reporter.total == 1:
            self._fit_in_stages(X, y, sample_weight)
        else:
            self.estimator_.fit(X, y, sample_weight=sample_weight)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        return self

    def _fit_in_stages(self, X: Any, y: Any, sample_weight: Any) -> None:
        total = int(getattr(self.estimator, self.stages))
        marks = sorted({max(1, total * stage // STAGES) for stage in range(1, STAGES + 1)})
        self.estimator_.set_params(warm_start=True)
        for mark in marks:
            self.estimator_.set_params(**{self.stages: mark})
            self.estimator_.fit(X, y, sample_weight=sample_weight)
            self.reporter.progress(f"{mark:,} of {total:,} iterations done")
        self.estimator_.set_params(warm_start=False)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Give the fitted estimator's probabilities, shape (n, classes)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(lambda self: hasattr(self.estimator, "decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Give the fitted estimator's margins; calibration prefers them to probabilities."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def predict(self, X: Any) -> Any:
        """Give the fitted estimator's answers, shape (n,)."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def __sklearn_clone__(self) -> "ReportedEstimator":
        """Give an unfitted twin that tells the same reporter."""
        twin = ReportedEstimator(clone(self.estimator), self.reporter, self.stages)
        if get_config()["enable_metadata_routing"]:
            twin.set_fit_request(sample_weight=True)
        return twin

    def __sklearn_tags__(self) -> Any:
        """Give the estimator's own tags."""
        return self.estimator.__sklearn_tags__()


FOLDS = 5
"""Folds of the training rows on which probabilities are calibrated and a threshold is chosen."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Everything that one fit needs.

    `X` has shape (n, columns) and is prepared, `y` and `weights` have shape (n,). `stages` names
    the estimator's parameter that counts its iterations.
    """

    model: ModelConfig
    estimator: Any
    stages: str
    X: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    progress: Callable[[str], None]


def fit_estimator(fit: Fit) -> Any:
    """Fit the estimator, calibrated if the configuration says so; give it without its reporter."""
    fits = 1 if fit.model.calibration == "none" else FOLDS + 1
    learner = _build_learner(fit, fits, routed=False)
    _run(fit, learner)
    return _strip_reporter(fit, learner)


def fit_with_threshold(fit: Fit, positive: Any) -> tuple[Any, float]:
    """Fit the estimator, and choose the threshold that is best by the configured figure.

    The figure is averaged over folds of the rows, each judged by a model that never saw it.

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
                "the features tell nothing about the target: every row gets the same score, so no "
                "threshold can be chosen; add features or rows"
            ) from error
    threshold = float(tuned.best_threshold_)
    fit.progress(f"threshold {threshold:.3f} gives the best {fit.model.threshold} on {FOLDS} folds")
    return _strip_reporter(fit, tuned.estimator_), threshold


def _build_learner(fit: Fit, fits: int, routed: bool) -> Any:
    from sklearn.calibration import CalibratedClassifierCV

    learner = ReportedEstimator(fit.estimator, Reporter(fit.progress, fits), fit.stages)
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
        warnings.simplefilter("ignore", ConvergenceWarning)  # told in words below
        learner.fit(fit.X, fit.y, **weights)


def _strip_reporter(fit: Fit, learner: Any) -> Any:
    """Give what was fitted as scikit-learn's own types, and tell when it did not converge."""
    if fit.model.calibration == "none":
        estimator = learner.estimator_
    else:
        pair = learner.calibrated_classifiers_[0]
        estimator = pair.estimator = pair.estimator.estimator_
        learner.set_params(estimator=fit.estimator, cv=FOLDS)
        vars(learner).pop("_metadata_request", None)  # of use in this fit only
    steps, allowed = getattr(estimator, "n_iter_", None), getattr(estimator, "max_iter", None)
    if fit.model.kind == "linear" and steps is not None and np.max(steps) >= allowed:
        fit.progress(
            f"note: the fit did not converge in {allowed:,} iterations; raise model.max_iterations"
        )
    return estimator if fit.model.calibration == "none" else learner
