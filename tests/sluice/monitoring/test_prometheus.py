"""The exported alert rules: Prometheus' own tool checks them and plays each cause."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.config.loading import load_rules
from sluice.config.monitoring.rules import MonitoringConfig
from sluice.monitoring.grafana import list_queries, name_dashboard, write_dashboard
from sluice.monitoring.prometheus import (
    name_alert,
    write_alert,
    write_alert_rules,
    write_expression,
    write_seconds,
)
from sluice.monitoring.rules import list_active
from support.monitoring import make_rule
from support.servers.prometheus import run_promtool

SERVICE = "employment"
RULES = list_active(load_rules(), MonitoringConfig(sla_ms=200, capacity=10))
PROMPT_RULES = list_active(load_rules(), MonitoringConfig(), "prompts")
CHAMPION = f'service="{SERVICE}",arm="champion",version="1"'
LEAST_SCHEMA, COLUMNS = 36, 24
"""The schema of Grafana 11's dashboards, and the columns of its grid."""
CANDIDATE = f'service="{SERVICE}",arm="candidate",version="2"'


def count(metric: str, values: str, labels: str = CHAMPION) -> tuple[str, str]:
    return f"{metric}{{{labels}}}", values


def requests(values: str, labels: str = CHAMPION) -> tuple[str, str]:
    return count("sluice_requests_total", values, labels)


def signal(name: str, metric: str, value: float, subject: str = "age") -> tuple[str, str]:
    labels = f'service="{SERVICE}",signal="{name}",subject="{subject}"'
    return f"{metric}{{{labels}}}", f"{value}x120"


def buckets(slow: bool) -> list[tuple[str, str]]:
    """60 requests a minute: all of 50 ms, or all of 400 ms."""
    edges = {"0.0625": 0 if slow else 60, "0.25": 0 if slow else 60, "0.5": 60, "+Inf": 60}
    return [
        count("sluice_latency_seconds_bucket", f"0+{step}x120", f'{CHAMPION},le="{edge}"')
        for edge, step in edges.items()
    ]


FAILURES = "sluice_failures_total"
WEIGHT = f'sluice_weight{{service="{SERVICE}"}}'
DRIFT = [
    signal("feature-psi", "sluice_signal", 0.4),
    signal("feature-psi", "sluice_signal_rows", 5000),
]
CASES: dict[str, tuple[str, list[tuple[str, str]], dict[str, str] | None]] = {
    "failures": (
        "failed-predictions",
        [requests("0+60x120"), count(FAILURES, "0+6x120")],
        {},
    ),
    "few failures": (
        "failed-predictions",
        [requests("0+1000x120"), count(FAILURES, "0+1x120")],
        None,
    ),
    "failures of too few requests": (
        "failed-predictions",
        [requests("0+1x120"), count(FAILURES, "0+1x120")],
        None,
    ),
    "failures of copies in shadow": (
        "failed-predictions",
        [
            requests("0+60x120"),
            count(FAILURES, "0+0x120"),
            requests("0+60x120", CANDIDATE),
            count(FAILURES, "0+60x120", CANDIDATE),
            (WEIGHT, "0x120"),
        ],
        None,
    ),
    "failures of a candidate in traffic": (
        "failed-predictions",
        [
            requests("0+60x120"),
            count(FAILURES, "0+0x120"),
            requests("0+6x120", CANDIDATE),
            count(FAILURES, "0+6x120", CANDIDATE),
            (WEIGHT, "0.1x120"),
        ],
        {},
    ),
    "slow answers": ("latency", [requests("0+60x120"), *buckets(True)], {}),
    "fast answers": ("latency", [requests("0+60x120"), *buckets(False)], None),
    "much traffic": ("throughput", [requests("0+540x120")], {}),
    "enough room": ("throughput", [requests("0+60x120")], None),
    "silence": ("no-traffic", [requests("0+60x20 1200x100")], {}),
    "silence after the last gateway is gone": ("no-traffic", [requests("0+60x20 _x100")], {}),
    "traffic": ("no-traffic", [requests("0+60x120")], None),
    "no traffic ever": ("no-traffic", [requests("0x120")], None),
    "no feedback yet": (
        "no-feedback",
        [requests("0+60x120"), count("sluice_feedback_records_total", "0x120")],
        None,
    ),
    "a lagging log": ("log-writer-lag", [("sluice_log_lag_seconds", "0+60x120")], {}),
    "a log that is written": ("log-writer-lag", [("sluice_log_lag_seconds", "9x120")], None),
    "a silent monitor": (
        "monitor-silent",
        [signal("monitor-age", "sluice_signal_timestamp_seconds", 60, "")],
        {},
    ),
    "drift": (
        "feature-drift",
        [*DRIFT, signal("feature-psi", "sluice_signal_confirmed", 1)],
        {"signal": "feature-psi", "subject": "age"},
    ),
    "drift that is not confirmed": (
        "feature-drift",
        [*DRIFT, signal("feature-psi", "sluice_signal_confirmed", 0)],
        None,
    ),
    "a fall of performance": (
        "performance-drop",
        [
            signal("performance-drop", "sluice_signal_bound", 0.06, "auc"),
            signal("performance-drop", "sluice_signal_rows", 5000, "auc"),
        ],
        {"signal": "performance-drop", "subject": "auc"},
    ),
    "a fall within its interval": (
        "performance-drop",
        [
            signal("performance-drop", "sluice_signal_bound", 0.01, "auc"),
            signal("performance-drop", "sluice_signal_rows", 5000, "auc"),
        ],
        None,
    ),
    "refused rows": (
        "refused-rows",
        [signal("refused-rows", "sluice_signal", 3, "")],
        {"signal": "refused-rows"},
    ),
}
GREET = 'service="greet",arm="champion",version="1"'
PROMPT_REQUESTS = requests("0+60x120", GREET)
HITS = f'{GREET},side="input",rule="email",action="mask"'
PROMPT_CASES: dict[str, tuple[list[tuple[str, str]], dict[str, str]]] = {
    "guardrail-rate": (
        [PROMPT_REQUESTS, count("sluice_guardrail_rule_hits_total", "0+6x120", HITS)],
        {},
    ),
    "first-token": (
        [
            PROMPT_REQUESTS,
            *(
                count("sluice_first_byte_seconds_bucket", f"0+{step}x120", f'{GREET},le="{edge}"')
                for edge, step in {"1.0": 0, "4.0": 60, "+Inf": 60}.items()
            ),
        ],
        {},
    ),
    "spend-near": (
        [('sluice_signal{service="greet",signal="spend-ratio",subject="day"}', "0.9x120")],
        {"signal": "spend-ratio", "subject": "day"},
    ),
    "tokens": (
        [
            ('sluice_signal{service="greet",signal="token-ratio",subject=""}', "2.5x120"),
            ('sluice_signal_rows{service="greet",signal="token-ratio",subject=""}', "60x120"),
        ],
        {"signal": "token-ratio"},
    ),
}
"""Rules of prompts on a planted cause."""
DAY = [requests("0+600x300"), count("sluice_feedback_records_total", "0+10x6 60x300")]
"""Every ten minutes: feedback in the first hour, and none for two days."""


ODD = {"odd": make_rule("odd", title='{{ $value }} "q" {{ end', definition="{{ template }} }} {{x")}
"""A rule whose words would be a wrong template."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("exported") / "rules.yaml"
    path.write_text(
        write_alert_rules({SERVICE: RULES, "odd": ODD, "greet": PROMPT_RULES}), encoding="utf-8"
    )
    return path


def write_case(
    rule: str,
    series: list[tuple[str, str]],
    labels: dict[str, str] | None,
    minutes: int = 100,
    interval: str = "1m",
) -> dict[str, Any]:
    """Write a unit test of promtool: the alert fires with these labels, or not at all."""
    is_prompt = rule in PROMPT_CASES
    alerts = [
        write_alert("greet", PROMPT_RULES[rule]) if is_prompt else write_alert(SERVICE, RULES[rule])
    ]
    if not is_prompt and rule in PROMPT_RULES and "service=" not in alerts[0]["expr"]:
        alerts.append(write_alert("greet", PROMPT_RULES[rule]))  # it is about the whole gateway
    fires = [
        {
            "exp_labels": {**alert["labels"], **(labels or {})},
            "exp_annotations": alert["annotations"],
        }
        for alert in alerts
    ]
    return {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes}m",
                "alertname": name_alert(rule),
                "exp_alerts": fires if labels is not None else [],
            }
        ],
    }


@pytest.mark.slow
def test_promtool_accepts_the_file(exported: Path) -> None:
    done = run_promtool("check", "rules", str(exported))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES) + len(ODD) + len(PROMPT_RULES)} rules found" in done.stdout


def play(exported: Path, folder: Path, cases: list[dict[str, Any]], step: str) -> None:
    """Play cases by promtool, which evaluates all rules at each step."""
    file = folder / "tests.yaml"
    tests = {"rule_files": [str(exported)], "evaluation_interval": step, "tests": cases}
    file.write_text(yaml.safe_dump(tests))
    done = run_promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_each_rule_fires_on_its_cause_and_on_nothing_else(exported: Path, tmp_path: Path) -> None:
    prompts = [write_case(rule, *case) for rule, case in PROMPT_CASES.items()]
    models = [write_case(*case) for case in CASES.values()]
    play(exported, tmp_path, [*models, *prompts], "1m")


@pytest.mark.slow
def test_a_day_without_feedback_fires(exported: Path, tmp_path: Path) -> None:
    cases = [
        write_case("no-feedback", DAY, None, minutes=1200, interval="10m"),
        write_case("no-feedback", DAY, {}, minutes=2400, interval="10m"),
    ]
    play(exported, tmp_path, cases, "2h")


def test_every_rule_of_models_has_a_case() -> None:
    assert {rule for rule, _, labels in CASES.values() if labels is not None} == {*RULES} - {
        "no-feedback",
        "output-drift",
    }


def test_an_alert_has_the_limits_and_the_runbook_of_its_rule() -> None:
    alert = write_alert(SERVICE, RULES["latency"])
    assert (alert["for"], alert["keep_firing_for"]) == ("5m", "10m")
    assert alert["labels"] == {"severity": "warning", "service": SERVICE, "rule": "latency"}
    assert alert["annotations"]["do"] == RULES["latency"].rule.runbook.do
    assert "> 200)" in alert["expr"]


def test_a_rule_without_its_figure_is_left_out_and_named() -> None:
    text = write_alert_rules({SERVICE: list_active(load_rules(), MonitoringConfig())})
    assert f"# {SERVICE}: latency is left out: `monitoring.sla_ms` is not in its file\n" in text
    assert "SluiceLatency" not in text
    with pytest.raises(ValueError, match="latency of employment has no limit"):
        write_expression(SERVICE, replace(RULES["latency"], limit=None))


def test_a_folder_without_services_gives_a_file_without_groups() -> None:
    assert yaml.safe_load(write_alert_rules({})) == {"groups": []}


@pytest.mark.parametrize(
    ("seconds", "text"), [(90, "90s"), (300, "5m"), (3600, "1h"), (5400, "90m"), (172_800, "2d")]
)
def test_durations_are_written_as_prometheus_reads_them(seconds: float, text: str) -> None:
    assert write_seconds(seconds) == text


def test_words_of_a_rule_are_no_template() -> None:
    annotations = write_alert("odd", ODD["odd"])["annotations"]
    assert annotations["summary"] == 'odd: {{ "{{" }} $value }} "q" {{ "{{" }} end'
    assert annotations["description"] == '{{ "{{" }} template }} }} {{ "{{" }}x'


def test_each_rule_has_its_own_panel_whatever_its_title() -> None:
    rules = {name: make_rule(name, title="Latency") for name in ("one", "two")}
    panels = list_queries(SERVICE, rules)
    assert {"Latency", "Latency (one)", "Latency (two)"} <= set(panels)
    assert len(panels["Latency"]) > 1


def test_dashboards_of_long_names_are_two() -> None:
    names = [f"{'a' * 40}{end}" for end in "bc"]
    uids = {name_dashboard(name) for name in names}
    assert len(uids) == 2
    assert max(map(len, uids)) <= 40
    assert name_dashboard(SERVICE) == f"sluice-{SERVICE}"


def test_a_dashboard_has_a_panel_for_each_rule_with_its_limit() -> None:
    import json

    dashboard = json.loads(write_dashboard(SERVICE, RULES))
    panels = {panel["title"]: panel for panel in dashboard["panels"]}
    assert set(panels) == set(list_queries(SERVICE, RULES))
    latency = panels[RULES["latency"].rule.title]
    assert latency["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] == 200
    assert latency["fieldConfig"]["defaults"]["unit"] == "ms"
    assert latency["targets"][0]["datasource"]["uid"] == "${datasource}"
    assert dashboard["uid"] == f"sluice-{SERVICE}"
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels.values()]
    assert len(set(places)) == len(places)


def test_grafana_s_own_model_reads_a_dashboard_and_writes_it_the_same() -> None:
    import json

    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    written = json.loads(write_dashboard(SERVICE, RULES))
    read = Dashboard.from_json(written)
    for panel in written["panels"]:
        if "fieldConfig" in panel:
            panel["fieldConfig"]["defaults"].setdefault("custom", {})  # the model always has it
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == written
    assert read.schema_version >= LEAST_SCHEMA
    ids = [panel["id"] for panel in written["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in written["panels"]]
    assert all(one["x"] >= 0 and one["x"] + one["w"] <= COLUMNS for one in places)
    taken = {(one["x"], one["y"]) for one in places}
    assert len(taken) == len(places), "panels lie on each other"
