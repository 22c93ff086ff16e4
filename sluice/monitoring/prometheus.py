"""The rules as a Prometheus alert-rule file, on the metrics of the gateways.

Every rule of a service becomes one alert with the limit of the service. Figures that only the
monitor has, such as drift, are read from the signals that the gateways show. Copies of requests
that a candidate answers in shadow are left out, as they are in the traffic log.
"""

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from sluice.monitoring.rules import ActiveRule
from sluice.monitoring.signals import Origin

QUANTILES = {"latency-p50": 0.50, "latency-p95": 0.95, "latency-p99": 0.99}
SHOWN = ("refused-rows", "spend-ratio", "token-ratio", "thumbs-up-share")
"""Signals that the monitor records for the gateways to show, since no counter has them."""
REMEMBERED = "7d"
"""How far back a first request or feedback is looked for."""
HEADER = """# Written by `sluice monitoring export` from the rules of monitoring; do not edit.
# Prometheus 2.42 or newer; scrape /metrics of every gateway.
"""


def write_alert_rules(services: Mapping[str, Mapping[str, ActiveRule]]) -> str:
    """Return the alert-rule file of the services as YAML, one group a service.

    A rule whose limit the service's file lacks is left out, and named in a comment.
    """
    groups, missing = [], []
    for service, rules in services.items():
        given = {name: active for name, active in rules.items() if active.limit is not None}
        alerts = [write_alert(service, active) for active in given.values()]
        if alerts:
            groups.append({"name": f"sluice-{service}", "rules": alerts})
        missing += [
            f"# {service}: {name} is left out: {active.missing}\n"
            for name, active in rules.items()
            if active.limit is None
        ]
    body = yaml.safe_dump({"groups": groups}, sort_keys=False, width=100, allow_unicode=True)
    return HEADER + "".join(missing) + body


def write_alert(service: str, active: ActiveRule) -> dict[str, Any]:
    """Return one alert of a service as Prometheus has it."""
    rule, name = active.rule, active.name
    alert: dict[str, Any] = {"alert": name_alert(name), "expr": write_expression(service, active)}
    if rule.for_:
        alert["for"] = write_seconds(rule.for_)
    if rule.keep_firing_for:
        alert["keep_firing_for"] = write_seconds(rule.keep_firing_for)
    return {
        **alert,
        "labels": {"severity": rule.severity, "service": service, "rule": name},
        "annotations": {
            "summary": escape_template(f"{service}: {rule.title}"),
            "description": escape_template(rule.definition),
            "means": escape_template(rule.runbook.means),
            "look": escape_template(rule.runbook.look),
            "do": escape_template(rule.runbook.do),
        },
    }


def escape_template(text: str) -> str:
    """Return a text that Prometheus shows as it is: an annotation is a template to it."""
    return text.replace("{{", '{{ "{{" }}')


def name_alert(rule: str) -> str:
    """Return an alert's name as Prometheus users write it, such as `SluiceNoTraffic`."""
    return "Sluice" + "".join(part.capitalize() for part in rule.split("-"))


def write_expression(service: str, active: ActiveRule) -> str:
    """Return the expression that is true while a rule is broken.

    Raises:
        ValueError: the rule has no limit, or its signal has no metric.
    """
    if active.limit is None:
        raise ValueError(f"{active.name} of {service} has no limit: {active.missing}")
    value, enough = write_value(service, active), _write_enough(service, active)
    sign = ">" if active.is_upper else "<"
    return f"({value} {sign} {write_number(active.limit)}){enough}"


def write_value(service: str, active: ActiveRule) -> str:
    """Return the expression of a rule's figure, without its limit.

    Raises:
        ValueError: its signal has no metric.
    """
    if active.origin is Origin.RECORDED or active.rule.signal in SHOWN:
        name = "sluice_signal_bound" if active.rule.by == "bound" else "sluice_signal"
        return _read_signal(name, service, active.rule.signal)
    write = VALUES.get(active.rule.signal)
    if write is None:
        raise ValueError(f"{active.name}: the signal {active.rule.signal} has no metric")
    return write(service, active)


def write_seconds(seconds: float) -> str:
    """Return a duration as Prometheus writes it, such as `15m`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def write_number(value: float) -> str:
    """Return a number as Prometheus reads it, without needless digits."""
    return f"{value:.12g}"


def sum_increase(metric: str, service: str, window: float, by: str = "") -> str:
    """Return the expression of a counter's growth in a window, without copies in shadow."""
    span = write_seconds(window)
    own = f'increase({metric}{{service="{service}",arm!="candidate"}}[{span}])'
    tried = f'increase({metric}{{service="{service}",arm="candidate"}}[{span}])'
    in_traffic = f'on (service) (max by (service) (sluice_weight{{service="{service}"}}) > 0)'
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} ({own} or ({tried} and {in_traffic}))"


def _requests(service: str, window: float) -> str:
    return sum_increase("sluice_requests_total", service, window)


def _latency(service: str, active: ActiveRule) -> str:
    quantile = QUANTILES[active.rule.signal]
    buckets = sum_increase("sluice_latency_seconds_bucket", service, active.rule.window, "le")
    return f"1000 * histogram_quantile({quantile}, {buckets})"


def _percentile(metric: str) -> Callable[[str, ActiveRule], str]:
    """Return what finds the 95th percentile of a histogram, in milliseconds."""

    def write(service: str, active: ActiveRule) -> str:
        buckets = sum_increase(f"{metric}_bucket", service, active.rule.window, "le")
        return f"1000 * histogram_quantile(0.95, {buckets})"

    return write


def _guardrail_share(service: str, active: ActiveRule) -> str:
    hits = sum_increase("sluice_guardrail_rule_hits_total", service, active.rule.window)
    return f"{hits} / {_requests(service, active.rule.window)}"


def _failure_share(service: str, active: ActiveRule) -> str:
    failures = sum_increase("sluice_failures_total", service, active.rule.window)
    return f"{failures} / {_requests(service, active.rule.window)}"


def _throughput_share(service: str, active: ActiveRule) -> str:
    if active.capacity is None:
        raise ValueError(f"{active.name} of {service}: no capacity is given")
    per_second = active.rule.window * active.capacity
    return f"{_requests(service, active.rule.window)} / {write_number(per_second)}"


def _silence(metric: str) -> Callable[[str, ActiveRule], str]:
    """Return what counts a metric that may also vanish with the last gateway."""

    def write(service: str, active: ActiveRule) -> str:
        grown = sum_increase(metric, service, active.rule.window)
        before = (
            f'max_over_time({metric}{{service="{service}"}}[{REMEMBERED}] '
            f"offset {write_seconds(active.rule.window)})"
        )
        return f"(({grown} or vector(0)) and on () (sum({before}) > 0))"

    return write


def _log_lag(_service: str, _active: ActiveRule) -> str:
    return "max(sluice_log_lag_seconds)"


def _monitor_age(service: str, _active: ActiveRule) -> str:
    shown = f'sluice_signal_timestamp_seconds{{service="{service}",signal="monitor-age"}}'
    return f"time() - max({shown})"


VALUES: dict[str, Callable[[str, ActiveRule], str]] = {
    **dict.fromkeys(QUANTILES, _latency),
    "failure-share": _failure_share,
    "throughput-share": _throughput_share,
    "guardrail-share": _guardrail_share,
    "first-token-p95": _percentile("sluice_first_byte_seconds"),
    "response-p95": _percentile("sluice_latency_seconds"),
    "requests": _silence("sluice_requests_total"),
    "feedbacks": _silence("sluice_feedback_records_total"),
    "log-lag": _log_lag,
    "monitor-age": _monitor_age,
}


def _read_signal(metric: str, service: str, signal: str) -> str:
    """Return a recorded signal by subject, once for all replicas that show it."""
    chosen = f'{metric}{{service="{service}",signal="{signal}"}}'
    return f"max by (service, signal, subject) ({chosen})"


def _write_enough(service: str, active: ActiveRule) -> str:
    """Return the conditions beside the limit: enough rows, and a test that confirms."""
    rule, conditions = active.rule, ""
    if active.origin is Origin.RECORDED or rule.signal in SHOWN:
        if rule.minimum:
            rows = _read_signal("sluice_signal_rows", service, rule.signal)
            conditions += f" and ({rows} >= {rule.minimum})"
        if rule.confirmed:
            found = _read_signal("sluice_signal_confirmed", service, rule.signal)
            conditions += f" and ({found} == 1)"
    elif rule.minimum:
        needed = f"{_requests(service, rule.window)} >= {rule.minimum}"
        conditions += f" and on () ({needed})"
    return conditions
