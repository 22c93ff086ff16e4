"""A Grafana dashboard a service: a panel for each rule with its limit, and the traffic itself."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from sluice.monitoring.prometheus import QUANTILES, name_alert, write_value
from sluice.monitoring.rules import ActiveRule

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard
    from grafana_foundation_sdk.builders.timeseries import Panel

SOURCE = "datasource"
"""Name of the dashboard's variable with which a person chooses the Prometheus."""
UNITS = {"share": "percentunit", "ms": "ms", "s": "s"}
HEIGHT, WIDTH = 8, 12
LONGEST_UID = 40
RED, GREEN = "red", "green"


def write_dashboard(service: str, rules: Mapping[str, ActiveRule]) -> str:
    """Return a service's dashboard as JSON, for Grafana 11 and newer."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    built = _build(service, rules).build()
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def name_dashboard(service: str) -> str:
    """Return the uid of a service's dashboard: 40 characters at most, and none of another one."""
    uid = f"sluice-{service}"
    if len(uid) <= LONGEST_UID:
        return uid
    return f"{uid[: LONGEST_UID - 9]}-{hashlib.sha256(service.encode()).hexdigest()[:8]}"


def list_queries(service: str, rules: Mapping[str, ActiveRule]) -> dict[str, dict[str, str]]:
    """Return the expressions of each panel by its title, each with its legend."""
    traffic = _list_traffic_queries(service)
    titles = name_panels(rules, traffic)
    judged = {
        titles[name]: {_write_legend(active): write_value(service, active)}
        for name, active in rules.items()
        if active.limit is not None
    }
    return {**traffic, **judged}


def _list_traffic_queries(service: str) -> dict[str, dict[str, str]]:
    """Return the expressions of the panels that no rule has: alerts that fire, and traffic."""
    return {
        "Alerts": {
            "{{alertname}}": f'ALERTS{{service="{service}",alertname=~"{name_alert("")}.*"}}'
        },
        "Requests a second by arm and version": {
            "{{arm}} v{{version}}": (
                "sum by (arm, version) "
                f'(rate(sluice_requests_total{{service="{service}"}}[$__rate_interval]))'
            )
        },
        "Latency": {
            f"P{round(100 * quantile)}": (
                f"1000 * histogram_quantile({quantile}, sum by (le) "
                f'(rate(sluice_latency_seconds_bucket{{service="{service}"}}[$__rate_interval])))'
            )
            for quantile in QUANTILES.values()
        },
        "Failures a second by arm and version": {
            "{{arm}} v{{version}}": (
                "sum by (arm, version) "
                f'(rate(sluice_failures_total{{service="{service}"}}[$__rate_interval]))'
            )
        },
        "Candidate's share of users": {"weight": f'max(sluice_weight{{service="{service}"}})'},
    }


def name_panels(rules: Mapping[str, ActiveRule], taken: Collection[str]) -> dict[str, str]:
    """Return the title of each rule's panel; a title that is not its own has the rule's name."""
    titles = Counter(active.rule.title for active in rules.values())
    return {
        name: active.rule.title
        if titles[active.rule.title] == 1 and active.rule.title not in taken
        else f"{active.rule.title} ({name})"
        for name, active in rules.items()
    }


def _build(service: str, rules: Mapping[str, ActiveRule]) -> "Dashboard":
    from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable

    dashboard = (
        Dashboard(f"Sluice: {service}")
        .uid(name_dashboard(service))
        .tags(["sluice", service])
        .timezone("utc")
        .refresh("1m")
        .time("now-6h", "now")
        .with_variable(DatasourceVariable(SOURCE).label("Prometheus").type("prometheus"))
    )
    titles = name_panels(rules, _list_traffic_queries(service))
    by_title = {title: rules[name] for name, title in titles.items()}
    for number, (title, queries) in enumerate(list_queries(service, rules).items(), start=1):
        # Without an id Grafana would give one, and links to a panel would change.
        panel = _build_panel(title, queries, by_title.get(title)).id(number)
        dashboard = dashboard.with_panel(panel)
    return dashboard


def _build_panel(title: str, queries: Mapping[str, str], active: ActiveRule | None) -> "Panel":
    from grafana_foundation_sdk.builders.prometheus import Dataquery
    from grafana_foundation_sdk.builders.timeseries import Panel
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    source = DataSourceRef(type_val="prometheus", uid=f"${{{SOURCE}}}")
    panel = Panel().title(title).height(HEIGHT).span(WIDTH).datasource(source)
    if title == "Latency":
        panel = panel.unit("ms")
    for place, (legend, expression) in enumerate(queries.items()):
        query = Dataquery().expr(expression).legend_format(legend).datasource(source)
        panel = panel.with_target(query.ref_id(chr(ord("A") + place)))
    if active is None:
        return panel
    book = active.rule.runbook
    words = f"{active.rule.definition}\n\nLook at: {book.look}\n\nDo: {book.do}"
    panel = panel.description(words).unit(UNITS.get(active.unit, "short"))
    return _draw_limit(panel, active)


def _draw_limit(panel: "Panel", active: ActiveRule) -> "Panel":
    from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
    from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
    from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode
    from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

    low, high = (GREEN, RED) if active.is_upper else (RED, GREEN)
    steps: list[Any] = [Threshold(None, low), Threshold(active.limit, high)]
    limits = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    style = GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(limits).thresholds_style(style)


def _write_legend(active: ActiveRule) -> str:
    return LEGENDS.get(active.rule.signal, active.rule.signal)


LEGENDS = {
    "performance-drop": "fall of {{subject}}",
    "feature-psi": "PSI of {{subject}}",
    "output-psi": "PSI of {{subject}}",
    "spend-ratio": "{{subject}}",
}
"""Signals with a line for each subject, and how the line is named."""
