"""Every exported expression on a real Prometheus that scrapes a real gateway."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sluice.config.loading import load_rules
from sluice.config.monitoring.rules import MonitoringConfig
from sluice.monitoring.grafana import list_queries
from sluice.monitoring.prometheus import write_alert_rules, write_expression, write_value
from sluice.monitoring.rules import ActiveRule, list_active
from sluice.monitoring.signals import Signal
from support.gateway.site import Running, wait_until
from support.servers.prometheus import Prometheus, run_prometheus
from tasks.monitoring.signals import read_log_state

pytestmark = pytest.mark.slow

SERVICE = "towns"
RULES = list_active(load_rules(), MonitoringConfig(sla_ms=200, capacity=10))
ROW = {"size": 1.0, "town": "bute", "here": True}
SIGNALS = {
    "performance-drop": ("auc", None),
    "feature-psi": ("size", True),
    "output-psi": ("", True),
    "refused-rows": ("", None),
    "monitor-age": ("", None),
}


@pytest.fixture(scope="module")
def prometheus(gateway: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    now = datetime.now(UTC)
    gateway.site.control.signals.record(
        Signal(SERVICE, name, now - timedelta(hours=1), now, 0.5, 900, subject, 0.4, confirmed)
        for name, (subject, confirmed) in SIGNALS.items()
    )
    folder = tmp_path_factory.mktemp("prometheus")
    rules = folder / "rules.yaml"
    rules.write_text(write_alert_rules({SERVICE: RULES}), encoding="utf-8")
    with run_prometheus(folder, rules, f"127.0.0.1:{gateway.port}") as running:
        for metric in ("sluice_requests_total", "sluice_feedback_records_total"):
            chosen = f'{metric}{{service="{SERVICE}"}}'
            ask_gateway(gateway)
            wait_until(lambda: running.query(chosen))  # noqa: B023
            ask_gateway(gateway)
            wait_until(lambda: running.query(f"sum(increase({chosen}[5m])) > 0"))  # noqa: B023
        wait_until(lambda: running.query("sluice_signal"))
        yield running


def ask_gateway(gateway: Running) -> None:
    for _ in range(20):
        reply = gateway.predict(ROW)
        assert reply.status == 200
    request = reply.json["request_id"]
    body = {"request_id": request, "label": "yes", "service": SERVICE}
    assert gateway.ask("/v1/feedback", body).status == 202


def test_prometheus_evaluates_every_rule(prometheus: Prometheus) -> None:
    wait_until(lambda: all(item["health"] != "unknown" for item in read_rules(prometheus)))
    found = read_rules(prometheus)
    assert {item["labels"]["rule"] for item in found} == set(RULES)
    assert [item["lastError"] for item in found if item["health"] != "ok"] == []


@pytest.mark.parametrize("active", RULES.values(), ids=RULES)
def test_an_expression_is_valid_and_its_figure_exists(
    prometheus: Prometheus, active: ActiveRule
) -> None:
    prometheus.query(write_expression(SERVICE, active))
    value = write_value(SERVICE, active)
    if active.rule.signal in ("requests", "feedbacks"):  # only what was there a window ago counts
        value = value.partition(" or vector(0)")[0].lstrip("(")
    assert prometheus.query(value), value


def test_every_query_of_the_dashboard_is_valid_and_shows_something(prometheus: Prometheus) -> None:
    for title, queries in list_queries(SERVICE, RULES).items():
        for expression in queries.values():
            found = prometheus.query(expression.replace("$__rate_interval", "1m"))
            waits = title in ("Alerts", "No traffic", "No feedback")
            assert found or waits, (title, expression)


def test_what_the_rules_read_is_among_the_metrics(gateway: Running, prometheus: Prometheus) -> None:
    text = gateway.ask("/metrics").text.decode()
    for name in (
        "sluice_log_lag_seconds ",
        f'sluice_feedback_records_total{{service="{SERVICE}"',
        f'sluice_signal{{service="{SERVICE}",signal="feature-psi",subject="size"}} 0.5',
        f'sluice_signal_confirmed{{service="{SERVICE}",signal="output-psi",subject=""}} 1.0',
        f'sluice_signal_bound{{service="{SERVICE}",signal="performance-drop",subject="auc"}} 0.4',
        "sluice_signal_timestamp_seconds{",
        "sluice_signal_rows{",
    ):
        assert name in text


def test_a_stopped_log_writer_is_seen_by_the_monitor(
    gateway: Running, prometheus: Prometheus
) -> None:
    """This gateway runs without one."""
    reply = gateway.ask("/v1/counters").json
    found = read_log_state({"gateway": reply}, datetime.now(UTC))
    assert found.lag is not None
    assert found.lag > 0
    assert found.complete < datetime.now(UTC) - timedelta(seconds=found.lag - 5)


def read_rules(prometheus: Prometheus) -> list[dict[str, object]]:
    groups = prometheus.ask("rules")["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]
