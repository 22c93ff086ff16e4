"""Figures of a window are metrics of its end, once, however often they are logged."""

from datetime import UTC, datetime, timedelta

from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.windows import log_window

END = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_window_is_one_step_of_each_metric(registry: Registry) -> None:
    run = registry.start_run("employment", "a release", {})
    for end in (END, END, END + timedelta(hours=1)):
        log_window(registry, run, {"drift/rows": 700.0, "drift/columns/age": 0.25}, end)
    history = registry.store.client().get_metric_history(run, "drift/columns/age")
    moments = [int(END.timestamp()) + 3600 * hour for hour in range(2)]
    assert sorted(one.step for one in history) == moments
    assert {(one.timestamp // 1000, one.value) for one in history} == {(at, 0.25) for at in moments}


def test_many_figures_take_several_calls(registry: Registry) -> None:
    run = registry.start_run("employment", "a release", {})
    log_window(registry, run, {f"drift/columns/c{at}": 0.1 for at in range(230)}, END)
    found = registry.store.client().get_run(run).data.metrics
    assert len(found) == 230
