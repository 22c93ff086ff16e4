"""Every table that Prefect shows fits its page in a window of 1,280 pixels.

Prefect's page does not wrap a cell: what is wider is cut off. `measure_table` was compared with
Chromium: tables of the default services need 371 to 685 pixels there, of the 708 that the page has.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sluice.config.loading import find_rules, load_service
from sluice.config.rollout import RouteConfig
from sluice.control.admission import GATES
from sluice.control.approval import Approval, ApprovalAnswer
from sluice.control.prompt_wish import PromptWish
from sluice.control.timeline import TimelineEntry
from sluice.drift.findings import ColumnDrift, DriftTest, SliceDrift
from sluice.drift.live.report import (
    REPORT_KINDS,
    ColumnReport,
    DriftReport,
    KindReport,
    PerformanceView,
)
from sluice.drift.scores import Scores
from sluice.home import PROJECT
from sluice.monitoring.alerts import AlertChange, AlertPhase, AlertState, ChangeKind, Silence
from sluice.monitoring.page import describe_alerts
from sluice.monitoring.page import write_page as write_alerts
from sluice.production.page import write_served
from sluice.production.served import RolloutTrial, ServedPeriod
from sluice.prompts.chat import TokenUsage
from sluice.prompts.evaluation.checks import plan_checks
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.prompts.folder import load_prompt
from sluice.report.approval import write_decision, write_request
from sluice.report.comparison import ComparedVersion, write_comparison
from sluice.report.drift.artifact import write_artifact
from sluice.report.experiments.summary import write_summary
from sluice.report.history import PastRelease, write_history
from sluice.report.markdown import PAGE_PIXELS, measure_table
from sluice.report.prompts.check import write_check
from sluice.report.prompts.standing import write_standing
from sluice.report.prompts.summary import write_markdown, write_unasked
from sluice.report.rollout import DecisionLine, write_overview, write_page
from sluice.report.scoring import ScoringFacts, write_scoring
from sluice.report.timeline import write_timeline
from sluice.report.verdict_page import write_verdict
from sluice.reproduction.comparison import ComparedFact, Reproduction, compare_value
from sluice.reproduction.page import write_reproduction
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase
from sluice.verdict import Check, Outcome, Verdict
from support.experiments.records import make_decided
from support.rollouts.counts import LAPTOP, begin

AT = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
SERVICE = "a-service-of-the-longest-name-that-is-ok"
WORDS = "the candidate is worse than the champion by more than `the.margin_that_is.configured` " * 6
RUN = "0ebe296f-dcc5-471a-a625-dd1f3355ae81"
LINKS = {"run": f"http://prefect.example.org/runs/flow-run/{RUN}", "MLflow": "http://m/#/x?y=z"}
CHECKS = tuple(
    Check(
        f"false-positive difference of a_long_column={'value' * 9}, other=x",
        outcome,
        -123456.789,
        (-223456.789, -0.000123),
        -1000.25,
        relation,
        "true positives",
        1_234_567,
        WORDS,
    )
    for outcome, relation in zip(Outcome, (">=", "<=", ">", "<"), strict=True)
)
VERDICTS = tuple(Verdict(gate, Outcome.FAIL, CHECKS, WORDS, "train again") for gate in GATES)
TAGS = {
    "sluice.version": "1234",
    "sluice.outcome": "halted",
    "sluice.stopped": f"EvidenceInsufficient: {WORDS}",
    "sluice.approval": "pending",
    "sluice.cause": WORDS,
    "sluice.data.version": "1234",
    "sluice.data.rows": "123456789",
    "sluice.data.content_hash": "f" * 64,
    "sluice.code.commit": "f" * 40,
    "sluice.code.dirty": "true",
    "sluice.config.hash": "f" * 64,
    "sluice.environment.lock_hash": "f" * 64,
    "sluice.environment.python": "3.11.7",
    **{f"sluice.verdict.{gate}": "insufficient" for gate in GATES},
}
APPROVAL = Approval(SERVICE, 1234, "f" * 64, AT)
FIGURES = [
    {
        "name": "average_precision",
        "greater_is_better": better,
        "candidate": {"value": -123456.7, "low": -223456.7, "high": -1000.5},
        "champion": {"value": None, "low": None, "high": None},
    }
    for better in (True, False)
]


def compare() -> str:
    sides = [
        ComparedVersion(number, TAGS, {"model": {"an_option_of_a_long_name": [number] * 30}})
        for number in (1233, 1234)
    ]
    return write_comparison(sides[1], sides[0], FIGURES)


def show_rollout() -> str:
    state = replace(begin(), phase=Phase.ROLLING_BACK, reason=WORDS)
    record = RolloutRecord(SERVICE, 123, 1233, 1234, LAPTOP, RouteConfig(), "salt", state)
    return write_page(record, [DecisionLine("11-30 23:59:59", "roll back", WORDS)] * 3, [WORDS])


def show_all() -> str:
    row = {
        "service": SERVICE,
        "serves": "v1234",
        "since": "2026-11-30 23:59",
        "on trial": "v1235",
        "phase": "rolling back",
        "stage": "a stage of a long name",
        "weight": "100%",
        "controller": "gone: the champion serves alone",
        "note": WORDS,
    }
    return write_overview([row, {"service": "quiet", "serves": "nothing"}])


def show_history() -> str:
    release = PastRelease(AT, "FAILED", TAGS, {}, ("champion", "previous"), LINKS)
    return write_history(SERVICE, [release, replace(release, tags={})])


def show_timeline() -> str:
    entry = TimelineEntry(
        SERVICE, AT, "forced-restore", 1234, WORDS, WORDS, f"Prefect, release run {RUN}", WORDS
    )
    return write_timeline(SERVICE, [entry], "http://prefect.example.org/runs/flow-run/")


def show_decision() -> str:
    decision = APPROVAL.decide(ApprovalAnswer.REFUSED, WORDS, WORDS, AT)
    return write_decision(decision, VERDICTS, LINKS, WORDS, compare())


def show_scoring() -> str:
    place = f"s3://bucket/{'a-long-folder-of-its-own/' * 8}scores"
    mark = "table 0ebe296f-dcc5-471a-a625-dd1f3355ae81 version 1234"
    numbers = (123_456_789,) * 4
    return write_scoring(
        ScoringFacts(SERVICE, 1234, place, mark, place, f"{place}-set-aside", AT, *numbers)
    )


def show_drift() -> str:
    name = "a_column_of_a_long_name_" * 5
    test = DriftTest("distribution", 0.3, 0.05, 1e-9, alarm=True, note=WORDS)
    scores = Scores(12.345, 12.345, 0.8326)
    found = ColumnDrift(name, name, "data", 9, 9, scores, None, (0.0, 1.0), (test,), 1.0, (WORDS,))
    kinds = tuple(KindReport(kind, "alarm", WORDS, True, AT, (True, True)) for kind in REPORT_KINDS)
    part = SliceDrift(f"{name}={name}", 123_456_789, (found,))
    view = PerformanceView("average_precision", 0.1, 0.1, 1234, AT, True, blindness=WORDS)
    file = f"s3://bucket/{'a-long-folder-of-its-own/' * 8}rows.parquet"
    facts = (SERVICE, 1234, 1234, "same_weekday", None, file, 123_456_789, 123_456_789)
    columns = {"data": (ColumnReport(found),)}
    report = DriftReport(*facts, kinds, columns, (part,), performance=view, notes=(WORDS,))
    return write_artifact(report, "http://m.example.org/")


def show_alerts() -> str:
    rules = find_rules(load_service("employment", "development"))
    alerts = [AlertState(SERVICE, name, AlertPhase.FIRING, AT, reason=WORDS) for name in rules]
    alerts = [replace(alert, judged=AT) for alert in alerts]
    silences = [Silence(SERVICE, name, WORDS, WORDS, AT, AT + timedelta(1)) for name in rules]
    rows = describe_alerts(rules, alerts, silences, AT)
    facts = (SERVICE, "failed-predictions", ChangeKind.SILENCED, AT, "critical", WORDS, AT)
    change = AlertChange(*facts)
    return write_alerts(SERVICE, rules, rows, [change, replace(change, by=WORDS)])


def show_prompt() -> str:
    """Show two versions with a dozen criteria beside each other."""
    scores = {f"a_criterion_of_a_long_name_{number}": 0.5 for number in range(12)}
    answer = AnswerResult("Hi", scores, usage=TokenUsage(123_456, 12_345), cost=12.3456)
    cases = tuple(CaseResult(f"c{number}", WORDS, (answer,)) for number in range(3))
    new, old = (
        PromptEvaluation(SERVICE, version, "a", "b", "m", "production", cases, 98_765.0)
        for version in (123_456, 123_455)
    )
    return write_markdown(new, old, VERDICTS)


def show_check() -> str:
    """Show what a version gives now beside its release and its fallback."""
    scores = {f"a_criterion_of_a_long_name_{number}": 0.51234 for number in range(12)}
    cases = (CaseResult("c1", WORDS, (AnswerResult("Hi", scores),)),)
    found = PromptEvaluation(SERVICE, 123_456, "a", "b", WORDS, "production", cases)
    return write_check(found, found, found, VERDICTS)


def show_unasked() -> str:
    """Show what can be said of a shipped prompt without its provider's key."""
    found = load_prompt("classify")
    limits = found.limits.of("production")
    checks = plan_checks(found.versions[1], found.eval_set, limits)
    return write_unasked(found, 1, checks, f"{WORDS}; next: {WORDS}", [WORDS])


def show_served() -> str:
    """A year of production: a candidate that was rolled back, and one that a person restored."""
    trial = RolloutTrial(SERVICE, 12, 123455, 123456, AT, AT, 0.25, Phase.ROLLED_BACK, WORDS)
    served = ServedPeriod(
        SERVICE, 123455, AT, None, "restored by an exception", WORDS, WORDS, WORDS, 123456, trial
    )
    return write_served(SERVICE, [replace(served, on_trial=True), served])


def show_reproduction() -> str:
    """A version whose lock and predictions differ."""
    name = "the registered model's parity rows"
    facts = (
        compare_value("content of the data", "a" * 64, "b" * 64),
        ComparedFact(name, "'a long label' at [0.1234567890123456, 0.1]", "0.5", 123456, 12345),
        compare_value("platform", "linux-x86_64", "macosx-14.0-arm64", decides=False),
    )
    return write_reproduction(Reproduction(SERVICE, 123456, facts, "this environment", (WORDS,)))


def show_experiment() -> str:
    return write_summary(make_decided(SERVICE, WORDS), AT)


PAGES: dict[str, Callable[[], str]] = {
    "verdict": lambda: write_verdict(VERDICTS[2], SERVICE, LINKS["MLflow"]),
    "request": lambda: write_request(APPROVAL, VERDICTS, LINKS, LINKS["run"], compare()),
    "decision": show_decision,
    "history": show_history,
    "timeline": show_timeline,
    "served": show_served,
    "reproduction": show_reproduction,
    "rollout": show_rollout,
    "overview": show_all,
    "batch prediction": show_scoring,
    "drift": show_drift,
    "alerts": show_alerts,
    "prompt": show_prompt,
    "prompt that was not asked": show_unasked,
    "experiment": show_experiment,
    "prompt that was asked anew": show_check,
    "prompts": lambda: write_standing([PromptWish(SERVICE, 123456, 123455, False)], SERVICE),
}
REPORTS = ("approval", "comparison", "history", "rollout", "scoring", "timeline", "verdict_table")
OTHERS = (
    "report/drift/artifact", "report/experiments/summary", "report/prompts/check",
    "report/prompts/standing", "report/prompts/summary", "monitoring/page", "production/page",
    "reproduction/page",
)  # fmt: skip
WRITERS = {*(f"report/{name}" for name in REPORTS), *OTHERS}
"""The files of `sluice` whose tables the pages above show."""


@pytest.mark.parametrize("kind", PAGES)
def test_no_table_is_wider_than_the_page(kind: str) -> None:
    tables = re.findall(r"(?:^\|.*\n?)+", PAGES[kind](), re.MULTILINE)
    assert tables
    assert {measure_table(table) > PAGE_PIXELS for table in tables} == {False}, tables


@pytest.mark.parametrize("kind", PAGES)
def test_code_is_closed_on_each_line_of_a_cell(kind: str) -> None:
    tables = "".join(re.findall(r"^\|.*\n?", PAGES[kind](), re.MULTILINE))
    lines = re.split(r"<br>|(?<!\\)\|", tables)
    assert [line for line in lines if line.count("`") % 2] == []


def test_every_table_for_prefect_is_among_them() -> None:
    """Who writes a table anew comes into `PAGES`; plain tables are the model card's, for MLflow."""
    found: dict[str, set[str]] = {"write_fitted": set(), "write_table": set()}
    for path in (PROJECT / "sluice").rglob("*.py"):
        text, file = path.read_text(encoding="utf-8"), path.relative_to(PROJECT / "sluice")
        for name in found:
            is_user = re.search(rf"(?<![.\w]){name}\(", text)
            found[name] |= {str(file.with_suffix(""))} if is_user else set()
    rooms = [path for room in ("tasks", "flows", "cli") for path in (PROJECT / room).rglob("*.py")]
    assert found["write_fitted"] - {"report/markdown"} == WRITERS
    assert found["write_table"] - {"report/markdown"} == {"report/card"}
    assert [path for path in rooms if "create_table_artifact" in path.read_text("utf-8")] == []
    assert [path for path in rooms if "|---" in path.read_text("utf-8")] == []
