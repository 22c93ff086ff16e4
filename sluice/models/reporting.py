"""Progress of a fit: which of several fits is running, or how many iterations are done.

It is a module of its own because the class below needs scikit-learn when it is imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

REPORTED_FITS = 6
"""About how many of several fits are reported."""
REPORTED_STEPS = 4
"""Steps in which a single long fit is done and reported."""
LONG_FIT = 2_000_000
"""Rows times iterations from which a fit takes about a second. Each step prepares the rows anew, so
that a shorter fit is done at once."""


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

    `iterations_parameter` names the parameter that counts iterations; a single long fit is then
    done in four steps, and the model is the same as from one step.
    """

    def __init__(self, estimator: Any, reporter: Reporter, iterations_parameter: str = "") -> None:
        self.estimator = estimator
        self.reporter = reporter
        self.iterations_parameter = iterations_parameter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ReportedEstimator":
        """Fit a copy of the estimator."""
        self.reporter.count()
        self.estimator_ = clone(self.estimator)
        if self.reporter.total == 1 and self._count_work(y) >= LONG_FIT:
            self._fit_in_steps(X, y, sample_weight)
        else:
            self.estimator_.fit(X, y, sample_weight=sample_weight)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        return self

    def _count_work(self, y: Any) -> int:
        """Return rows times iterations; 0 if the estimator has no iterations to count."""
        if not self.iterations_parameter:
            return 0
        return len(y) * int(getattr(self.estimator, self.iterations_parameter))

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
