"""Our own expectations; importing this module registers them with Great Expectations.

Most compare the new rows with the previous version. Both are in the `attrs` of the batch's frame,
as an `Arrival` under `ARRIVAL`. Without a previous version, or without new rows, these are not
judged: they succeed, and their details have the reason.
"""

from typing import Any, ClassVar

from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
    render_suite_parameter_string,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer

from sluice.data.arrival import Arrival
from sluice.data.distribution import AlarmLimits, Comparison, compare_column

ARRIVAL = "arrival"
METRIC = "table.arrival"
KINDS = {"i": "integer", "f": "number", "O": "text", "b": "boolean", "M": "timestamp"}


class TableArrival(TableMetricProvider):  # type: ignore[misc]
    """The metric that returns the batch's `Arrival`."""

    metric_name = METRIC

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, execution_engine: Any, **_: Any) -> Arrival:  # noqa: N805
        arrival: Arrival = execution_engine.batch_manager.active_batch_data.dataframe.attrs[ARRIVAL]
        return arrival


class _Described:
    """One sentence for the data docs, with the expectation's numbers."""

    sentence: ClassVar[str]

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    @render_suite_parameter_string  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, **_: Any
    ) -> list[Any]:
        defaults = {name: field.default for name, field in cls.__fields__.items()}  # type: ignore[attr-defined]
        template = {"template": cls.sentence, "params": {**defaults, **configuration.kwargs}}
        return [
            RenderedStringTemplateContent(
                content_block_type="string_template", string_template=template
            )
        ]


class ExpectColumnDistributionToMatchPrevious(_Described, ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect the new rows' values to be distributed as in the previous version.

    Fails where p < `alpha` / `tests` and the effect exceeds its floor: `minimum_distance`
    (Kolmogorov-Smirnov, numeric), `minimum_psi` (categorical), `minimum_nulls` (null shares).
    """

    alpha: float = 0.01
    tests: int | SuiteParameterDict = 1
    minimum_distance: float = 0.05
    minimum_psi: float = 0.02
    minimum_nulls: float = 0.02
    minimum_rows: int = 500

    metric_dependencies = (METRIC,)
    success_keys = (
        "alpha",
        "tests",
        "minimum_distance",
        "minimum_psi",
        "minimum_nulls",
        "minimum_rows",
    )
    sentence: ClassVar[str] = (
        "$column of the new rows must be distributed as in the previous version: "
        "p at least $alpha / $tests, or KS distance at most $minimum_distance (numbers), "
        "PSI at most $minimum_psi (levels)."
    )

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrival: Arrival = metrics[METRIC]
        if reason := _explain_skip(arrival):
            return _skip(reason)
        limits = AlarmLimits(
            self.alpha,
            self.minimum_distance,
            self.minimum_psi,
            self.minimum_nulls,
            self.minimum_rows,
        )
        assert arrival.previous is not None  # noqa: S101 - _explain_skip has checked it
        column: str = self.column
        found = compare_column(arrival.previous[column], arrival.fresh[column], limits)
        if not found:
            return _skip(f"fewer than {self.minimum_rows} rows on one side")
        level = self.alpha / int(self.tests)
        worst = max(found, key=lambda item: (item.alarms(level), -item.p))
        return _report(not worst.alarms(level), worst.effect, _detail_comparison(worst, level))


class ExpectColumnToBeOfKind(_Described, ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect the column's type to be of a kind: integer, number, text, boolean or timestamp."""

    kind: str

    metric_dependencies = (METRIC,)
    success_keys = ("kind",)
    sentence: ClassVar[str] = "$column must be of kind $kind."

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrival: Arrival = metrics[METRIC]
        found = KINDS[arrival.frame[self.column].dtype.kind]
        return _report(found == self.kind, found, {"allowed": self.kind})


class ExpectNewRowsToBeShareOfPrevious(_Described, BatchExpectation):  # type: ignore[misc]
    """Expect at least `minimum_share` new rows for each row of the previous version."""

    minimum_share: float = 0.1

    metric_dependencies = (METRIC,)
    success_keys = ("minimum_share",)
    sentence: ClassVar[str] = (
        "New rows must be at least $minimum_share of the rows of the previous version."
    )

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrival: Arrival = metrics[METRIC]
        if reason := _explain_skip(arrival):
            return _skip(reason)
        assert arrival.previous is not None  # noqa: S101 - _explain_skip has checked it
        least = self.minimum_share * len(arrival.previous)
        details = {"limit": least, "n": len(arrival.previous)}
        return _report(len(arrival.fresh) >= least, len(arrival.fresh), details)


class ExpectColumnNewestToBeNoOlderThanPrevious(_Described, ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect the newest value among the new rows to be no older than the previous version's."""

    metric_dependencies = (METRIC,)
    success_keys = ()
    sentence: ClassVar[str] = (
        "The newest $column of the new rows must be no older than the previous version's."
    )

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrival: Arrival = metrics[METRIC]
        if reason := _explain_skip(arrival):
            return _skip(reason)
        assert arrival.previous is not None  # noqa: S101 - _explain_skip has checked it
        before, now = arrival.previous[self.column].max(), arrival.fresh[self.column].max()
        details = {"limit": _to_plain(before), "n": len(arrival.fresh)}
        return _report(bool(now >= before), _to_plain(now), details)


def _explain_skip(arrival: Arrival) -> str:
    if arrival.previous is None:
        return "no previous version"
    return "" if len(arrival.fresh) else "no new rows"


def _skip(reason: str) -> dict[str, Any]:
    return _report(True, None, {"not_judged": reason})


def _report(success: bool, observed: Any, details: dict[str, Any]) -> dict[str, Any]:
    return {"success": success, "result": {"observed_value": observed, "details": details}}


def _detail_comparison(comparison: Comparison, level: float) -> dict[str, Any]:
    return {
        "measure": comparison.measure,
        "limit": comparison.floor,
        "p": comparison.p,
        "p_limit": level,
        "n": comparison.n,
        "dropped": list(comparison.dropped),
    }


def _to_plain(value: Any) -> Any:
    """Return a JSON-ready value: a number, or a time as ISO 8601 text."""
    if isinstance(value, str):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return int(value) if float(value).is_integer() else float(value)
