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

from sluice.adapters.validation.like_rules import check_values
from sluice.data.batches.arrival import Arrival
from sluice.data.batches.feed import FeedLimits, compare_feed
from sluice.data.distribution import AlarmLimits, Comparison, compare_column
from sluice.data.time_functions import count_back_steps
from sluice.profile.rules import DISTRIBUTION, KIND

ARRIVAL = "arrival"
METRIC = "table.arrival"
SHOWN = 10
"""Most columns that the page names."""
TRAFFIC_VOLUME = "labelled traffic comes as labels come, in batches of any size"
EFFECTS = ("minimum_distance", "minimum_psi", "minimum_nulls")
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
        limits = AlarmLimits(
            self.alpha,
            self.minimum_distance,
            self.minimum_psi,
            self.minimum_nulls,
            self.minimum_rows,
        )
        return judge_distribution(metrics[METRIC], self.column, limits, int(self.tests))


class ExpectColumnToBeOfKind(_Described, ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect the column's type to be of a kind: integer, number, text, boolean or timestamp."""

    kind: str

    metric_dependencies = (METRIC,)
    success_keys = ("kind",)
    sentence: ClassVar[str] = "$column must be of kind $kind."

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        return judge_kind(metrics[METRIC], self.column, self.kind)


class ExpectColumnsToKeepLikeRules(_Described, BatchExpectation):  # type: ignore[misc]
    """Expect each of many columns to keep its rule; the rules are of one kind.

    `rules` has the arguments of each rule by its id; the details have the result of each.
    """

    rule: str
    rules: dict[str, Any]
    id_column: str
    tests: int | SuiteParameterDict = 1

    metric_dependencies = (METRIC,)
    success_keys = ("rule", "rules", "id_column", "tests")
    sentence: ClassVar[str] = "Each of many columns must keep its rule: $rule."

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        found = {key: self._judge(metrics[METRIC], values) for key, values in self.rules.items()}
        broken = [
            str(self.rules[key]["column"]) for key, item in found.items() if not item["success"]
        ]
        shown = ", ".join(broken[:SHOWN]) + (", ..." if len(broken) > SHOWN else "")
        observed = f"{len(found) - len(broken):,} of {len(found):,} kept"
        observed += f"; broken: {shown}" if broken else ""
        return _report(not broken, observed, {"results": found})

    def _judge(self, arrival: Arrival, values: dict[str, Any]) -> dict[str, Any]:
        try:
            if self.rule == KIND:
                return judge_kind(arrival, values["column"], values["kind"])
            if self.rule == DISTRIBUTION:
                plain = {key: value for key, value in values.items() if key != "column"}
                limits = AlarmLimits(
                    **{
                        key.removeprefix("minimum_") if key in EFFECTS else key: value
                        for key, value in plain.items()
                    }
                )
                return judge_distribution(arrival, values["column"], limits, int(self.tests))
            return check_values(self.rule, values, arrival.frame, self.id_column)
        except Exception as error:
            told = {"raised_exception": True, "exception_message": f"{error}" or repr(error)}
            return {"success": False, "result": {}, "exception_info": {"rule": told}}


def judge_distribution(
    arrival: Arrival, column: str, limits: AlarmLimits, tests: int
) -> dict[str, Any]:
    """Return the result of comparing a column's new rows with the previous version."""
    if reason := _explain_skip(arrival):
        return _skip(reason)
    fresh = arrival.select_fresh(f"distribution of {column}")
    found = compare_column(arrival.take_previous(column), fresh[column], limits)
    if not found:
        return _skip(f"fewer than {limits.minimum_rows} rows on one side{_postpone(arrival)}")
    level = limits.alpha / tests
    worst = max(found, key=lambda item: (item.alarms(level), -item.p))
    return _report(not worst.alarms(level), worst.effect, _detail_comparison(worst, level))


def judge_kind(arrival: Arrival, column: str, kind: str) -> dict[str, Any]:
    """Return the result of comparing a column's kind with the one that is expected."""
    found = KINDS[arrival.frame[column].dtype.kind]
    return _report(found == kind, found, {"allowed": kind})


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
        if arrival.earlier.is_traffic:
            return _skip(TRAFFIC_VOLUME)
        if arrival.has_accepted("new rows"):
            return _skip("a person accepted a batch of this size")
        assert arrival.previous is not None  # noqa: S101 - _explain_skip has checked it
        least = self.minimum_share * len(arrival.previous)
        rows, before = len(arrival.fresh), len(arrival.previous)
        finding = (
            f"{rows:,} new rows, at least {least:,.0f} expected after {before:,} previous rows"
        )
        details = {"limit": least, "n": before, "finding": finding}
        return _report(rows >= least, rows, details)


class ExpectNewRowsToFollowFeed(_Described, BatchExpectation):  # type: ignore[misc]
    """Expect a batch to have as many rows as the feed usually brings.

    At most `maximum_times` the rows of the largest batch so far. Where `minimum_share` is above 0,
    the mean of the last seven batches is at least this share of the usual batch: the median of
    the `window` batches before them. Judged where a batch arrives, not in a release.
    """

    minimum_share: float = 0.0
    maximum_times: float = 10.0
    window: int = 28

    metric_dependencies = (METRIC,)
    success_keys = ("minimum_share", "maximum_times", "window")
    sentence: ClassVar[str] = (
        "A batch must have at most $maximum_times the rows of the largest batch so far, and the "
        "last seven on average at least $minimum_share of the usual batch."
    )

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrival: Arrival = metrics[METRIC]
        if not arrival.is_increment:
            return _skip("judged when a batch arrives")
        if arrival.earlier.is_traffic:
            return _skip(TRAFFIC_VOLUME)
        limits = FeedLimits(self.minimum_share, self.maximum_times, self.window)
        found = compare_feed(len(arrival.fresh), arrival.earlier.sizes or (), limits)
        if found is None:
            return _skip("no earlier batch")
        details = {"limit": found.limit, "n": found.n, "finding": found.finding}
        return _report(not found.finding, found.rows, details)


class ExpectColumnNewestToBeNoOlderThanPrevious(_Described, ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect the newest value of the table to be no older than the previous version's.

    Of a batch that is to be appended the whole table counts: late rows may be older.
    """

    metric_dependencies = (METRIC,)
    success_keys = ()
    sentence: ClassVar[str] = (
        "The newest $column of the table must be no older than the previous version's."
    )

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrival: Arrival = metrics[METRIC]
        if reason := _explain_skip(arrival):
            return _skip(reason)
        assert arrival.previous is not None  # noqa: S101 - _explain_skip has checked it
        before, now = arrival.previous[self.column].max(), arrival.frame[self.column].max()
        if arrival.is_increment:
            now = max(before, now)
        details = {"limit": _to_plain(before), "n": len(arrival.fresh)}
        return _report(bool(now >= before), _to_plain(now), details)


class ExpectColumnToGrowWithTime(_Described, ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect a column that counts time, such as an index of days, to grow with the time column.

    Judged inside the table or batch: the values of a later moment are never below those of an
    earlier one (never above them where `falling`).
    """

    time: str
    falling: bool = False

    metric_dependencies = (METRIC,)
    success_keys = ("time", "falling")
    sentence: ClassVar[str] = "$column must grow with $time."

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrival: Arrival = metrics[METRIC]
        rule = f"{self.column} grows with {self.time}"
        frame = arrival.earlier.exceptions.leave_out(rule, arrival.frame, arrival.id_column)
        column: str = self.column
        steps = count_back_steps(frame[column], frame[self.time], self.falling)
        if steps is None:
            return _skip("fewer than two moments with values")
        back, moments = steps
        details = {"limit": 0, "n": moments, "finding": _explain_steps(self, back, moments)}
        return _report(back == 0, back, details)


def _explain_steps(rule: ExpectColumnToGrowWithTime, back: int, moments: int) -> str:
    if not back:
        return ""
    direction = "rises" if rule.falling else "falls"
    return f"{rule.column} {direction} in {back:,} of {moments - 1:,} steps of {rule.time}"


def _explain_skip(arrival: Arrival) -> str:
    if arrival.previous is None:
        return "no previous version"
    return "" if len(arrival.fresh) else "no new rows"


def _postpone(arrival: Arrival) -> str:
    """Return where a rule that a batch is too small for is judged; empty in a release."""
    return "; judged at release" if arrival.is_increment else ""


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
