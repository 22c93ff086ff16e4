"""Fits that say how far they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

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
