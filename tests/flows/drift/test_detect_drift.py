"""Drift of live traffic on a real server: judged once, told once, red while an alarm is open."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving.log.records import Feedback
from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.row_parts import plan_rows
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.drift.live.report import DriftReport, summarise
from sluice.drift.live.requests import DriftRequest
from sluice.errors import DataInvalid, DataMissing, Refused
from sluice.home import Home
from sluice.report.drift.page import write_page
from sluice.report.drift.rows import describe_performance
from support.drift.traffic import log_people, read_people
from support.labelled import log_records
from support.releases.runs import artifacts_of, run_sluice
from support.releases.sources import events_of
from support.servers.dask import open_cluster
from tasks.drift import detection, files
from tasks.drift.examination import examine_request, open_request
from tasks.drift.files import read_file, read_here
from tasks.drift.references import read_reference
from tasks.run.mapping import map_parts

pytestmark = pytest.mark.slow

SERVICE = "employment"
START = datetime(2026, 11, 23, 8, tzinfo=UTC)
ROWS = 700
Detect = Callable[..., Any]


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture(scope="module")
def config() -> ServiceConfig:
    return load_service(SERVICE, "development")


@pytest.fixture(scope="module", autouse=True)
def own_files(stocked: Home) -> None:
    """MLflow remembers where a run's files are; the run of the copied state has its own."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()


@pytest.fixture
def detect(stocked: Home, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Return a function that runs the flow as if some hours had passed."""
    from flows.detect_drift import detect_drift

    def run(hours: float = 0.0, **given: Any) -> Any:
        monkeypatch.setattr(detection, "find_now", lambda: after(hours) + timedelta(minutes=5))
        return detect_drift(SERVICE, **given, return_state=True)

    return run


def draw(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    return people.sample(ROWS, random_state=seed).reset_index(drop=True)


def list_changes(api: str) -> list[tuple[str, str, str]]:
    return [
        (event["event"], event["payload"]["kind"], event["payload"]["window_end"][11:16])
        for name in ("drift.detected", "drift.resolved")
        for event in events_of(api, SERVICE, name)
    ]


def test_a_shift_is_found_told_once_and_resolved(
    api: str, stocked: Home, config: ServiceConfig, detect: Detect
) -> None:
    everyone, older = read_people(config), read_people(config, older_than=50)
    for hour, people in enumerate([everyone, older, older, everyone, everyone]):
        log_people(stocked, config, draw(people, hour), after(hour))

    clean = detect(1)
    assert clean.is_completed(), clean.message
    waits = detect(2)
    assert waits.is_completed(), waits.message  # one window alone opens no alarm
    found = detect(3)
    assert found.is_failed()
    assert found.message.startswith("DriftFound: employment: data: age (distribution, JS 0.")
    again = detect(3)
    assert (again.name, again.message) == ("Skipped", "no window is due")
    over = detect(5)
    assert over.is_completed(), over.message

    assert list_changes(api) == [
        ("drift.detected", kind, "11:00") for kind in ("data", "joint", "prediction")
    ] + [("drift.resolved", kind, "13:00") for kind in ("data", "joint", "prediction")]
    states = {one.kind: one for one in prepare_control(stocked).drift.list_newest(SERVICE)}
    assert {kind: one.is_open for kind, one in states.items()} == dict.fromkeys(states, False)
    assert states["label"].reason.startswith("not enough data: 0 rows")

    signals = prepare_control(stocked).signals.list_since(SERVICE, "feature-psi", 0)
    ages = [item for _, item in signals if item.subject == "age"]
    assert [item.confirmed for item in ages] == [False, True, True, False, False]
    assert all(item.value > 0.25 for item in ages if item.confirmed)

    page = artifacts_of(found)[f"{SERVICE}-drift"].data
    assert page.startswith("# Drift found: employment")
    champion = open_registry(stocked).find_alias(SERVICE, "champion")
    assert champion is not None
    registry = open_registry(stocked)
    html = registry.read_text(champion.run_id, "drift/2026-11-23T11-00.html")
    assert "<script" not in html
    assert "http://www.w3.org/2000/svg" in html
    trend = json.loads(registry.read_text(champion.run_id, "drift/trend.json"))
    assert [one["end"][11:16] for one in trend] == ["09:00", "10:00", "11:00", "12:00", "13:00"]


def test_two_runs_at_once_judge_a_window_once(
    api: str, stocked: Home, config: ServiceConfig, detect: Detect
) -> None:
    log_people(stocked, config, draw(read_people(config), 6), after(6))
    before = list_changes(api)
    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(detect, (7, 7)))
    said = sorted(str(state.message) for state in states)
    assert said == ["employment: clean", "no window is due"]
    assert list_changes(api) == before


def test_a_run_that_was_away_judges_each_window_once_and_oldest_first(
    api: str, stocked: Home, config: ServiceConfig, detect: Detect
) -> None:
    older = read_people(config, older_than=50)
    detect(10)
    log_people(stocked, config, draw(older, 7), after(10))
    log_people(stocked, config, draw(older, 8), after(12))
    before = list_changes(api)
    found = detect(15)
    assert found.is_failed()
    assert "not judged in this window" in found.message
    changes = [one for one in list_changes(api) if one not in before]
    assert changes == [
        ("drift.detected", kind, "21:00") for kind in ("data", "joint", "prediction")
    ]
    newest = prepare_control(stocked).drift.find_newest(SERVICE, "data", "training")
    assert newest is not None
    assert (newest.end, newest.outcome.value, newest.is_open) == (after(15), "not judged", True)


def test_labels_that_contradict_the_model_are_concept_drift(
    api: str, stocked: Home, config: ServiceConfig, detect: Detect
) -> None:
    answers = log_people(stocked, config, draw(read_people(config), 11), after(40))
    answers = answers[: config.performance.window]
    labels = [
        Feedback(
            answer.request_id,
            answer.at + 60.0,
            label=str(1 - json.loads(answer.outputs)["prediction"]),
            service=SERVICE,
        )
        for answer in answers
    ]
    log_records(stocked, *labels)
    found = detect(42)
    assert found.is_failed()
    assert found.message.startswith("DriftFound: employment: concept: ")
    assert len(events_of(api, SERVICE, "performance.dropped")) == 1
    words = dict(describe_performance(ask(config, window="2026-11-25..2026-11-25T01").performance))
    assert ", dropped, on 500 labelled answers" in words["auc measured"]
    assert words["auc estimated"].endswith("700 answers")
    assert "cannot see a change" in words["the estimate is blind"]


def test_a_person_asks_for_a_file_in_a_terminal(
    stocked: Home, config: ServiceConfig, tmp_path: Path
) -> None:
    file, page = tmp_path / "older.parquet", tmp_path / "out.html"
    read_people(config, older_than=50).assign(extra=1).to_parquet(file)
    before = prepare_control(stocked).drift.list_newest(SERVICE)
    asked = ("drift", SERVICE, "--file", str(file))
    done = run_sluice(*asked, "--report", str(page), home=stocked.root)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("Drift found: employment")
    assert "column extra is not known to the release" in done.stdout
    assert "<svg" in page.read_text()
    plain = run_sluice(*asked, "--json", home=stocked.root)
    values = json.loads(plain.stdout)
    assert (plain.returncode, values["outcome"], values["window"]) == (1, "alarm", None)
    assert values["columns"]["data"][0]["column"] == "age"
    assert prepare_control(stocked).drift.list_newest(SERVICE) == before


def ask(config: ServiceConfig, **given: str) -> DriftReport:
    return examine_request(config, DriftRequest(**given)).report


def test_the_hours_before_can_be_the_reference(stocked: Home, config: ServiceConfig) -> None:
    everyone, older = read_people(config), read_people(config, older_than=50)
    for hour, people in ((60, everyone), (61, everyone), (62, everyone), (63, older)):
        log_people(stocked, config, draw(people, hour), after(hour))
    short = config.drift.model_copy(update={"trailing_days": 0.125})
    config = config.model_copy(update={"drift": short})
    calm = ask(config, window="2026-11-25T22..2026-11-25T23", reference="trailing")
    assert (calm.reference, calm.reference_rows) == ("trailing 0.125 d", 2 * ROWS)
    assert calm.outcome == "clean"
    moved = ask(config, window="2026-11-25T23..2026-11-26T00", reference="trailing")
    assert moved.reference_rows == 3 * ROWS
    assert {one.kind for one in moved.alarmed} >= {"data", "joint"}


def test_files_that_are_not_as_they_should_be_are_told_in_words(
    stocked: Home, config: ServiceConfig, tmp_path: Path
) -> None:
    people = read_people(config)
    quick = config.model_copy(update={"drift": config.drift.model_copy(update={"joint": False})})
    changed = {
        "empty": people.iloc[:0],
        "gone": people.drop(columns=["age"]),
        "null": people.assign(age=None),
        "texts": people.assign(age="old"),
        "levels": people.assign(ancestry=[f"place {at}" for at in range(len(people))]),
    }
    reports = {}
    for name, rows in changed.items():
        rows.to_parquet(tmp_path / f"{name}.parquet")
        reports[name] = ask(quick, file=str(tmp_path / f"{name}.parquet"))
        json.dumps(reports[name].to_dict(), allow_nan=False)
        write_page(reports[name])
    assert reports["empty"].outcome == "not judged"
    findings = {"gone": "missing column", "null": "all null", "texts": "type"}
    for name, finding in findings.items():
        (broken,) = reports[name].columns["upstream"]
        assert (broken.found.column, finding in broken.found.alarms) == ("age", True)
    (new,) = reports["levels"].columns["upstream"]
    assert "new levels" in new.found.alarms
    assert len(new.found.new_levels) <= 10


def test_files_of_another_source_are_told_in_words(
    stocked: Home, config: ServiceConfig, tmp_path: Path
) -> None:
    people, target = read_people(config).iloc[:2_000], config.data.target
    (tmp_path / "mixed").mkdir()
    people.iloc[:1_000].to_parquet(tmp_path / "mixed" / "a.parquet")
    people.iloc[1_000:].astype({"age": str}).to_parquet(tmp_path / "mixed" / "b.parquet")
    people.assign(**{target: None}).to_parquet(tmp_path / "unlabelled.parquet")
    people[[target]].to_parquet(tmp_path / "bare.parquet")
    names = ("mixed", "unlabelled.parquet", "bare.parquet")
    mixed, unlabelled, bare = (ask(config, file=str(tmp_path / name)) for name in names)

    assert [one.found.column for one in mixed.columns["upstream"]] == ["age"]
    assert "age (type, significant)" in summarise(mixed)
    assert mixed.joint is not None
    assert mixed.joint.outcome == "clean"
    reasons = {one.kind: one.reason for one in unlabelled.kinds}
    assert unlabelled.outcome == "clean"
    assert reasons["label"] == "all 2,000 rows are null"
    assert reasons["prediction"] == "rows of a file have no answers of a model"
    assert bare.joint is not None
    assert bare.joint.reason.startswith("the file has no feature of the profile")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"file": "people.csv"}, "found a .csv file; allowed: a Parquet file"),
        ({"file": "people.csv.gz"}, "found a .csv.gz file; allowed: a Parquet file"),
        ({"file": "nothing.parquet"}, "not found; allowed: a Parquet file"),
        ({"file": "x.parquet", "reference": "trailing"}, "allowed for a file: training"),
        ({"file": "x.parquet", "window": "6 h"}, "found 'survey_year', a column of kind integer"),
        ({"window": "soon"}, "window: found 'soon', allowed: a length"),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    stocked: Home, config: ServiceConfig, given: dict[str, str], words: str
) -> None:
    with pytest.raises(Refused, match=re.escape(words)):
        ask(config, **given)


def test_a_profile_of_another_version_and_none_name_the_command(
    stocked: Home, config: ServiceConfig
) -> None:
    registry = open_registry(stocked)
    champion = registry.find_alias(SERVICE, "champion")
    assert champion is not None
    text = registry.read_text(champion.run_id, "reference_profile.json")
    other = registry.start_run(SERVICE, "another", {})
    record = replace(champion, run_id=other)
    with pytest.raises(DataMissing, match="next: `sluice profile employment --version 1`"):
        read_reference(config, record)
    values = {**json.loads(text), "data_version": 99}
    registry.log_json(other, "reference_profile.json", values)
    with pytest.raises(DataInvalid, match=r"found 99, allowed: 1.*the profile of another version"):
        read_reference(config, record)


def test_a_large_file_is_read_by_a_dask_cluster_with_the_same_result(
    stocked: Home,
    config: ServiceConfig,
    detect: Detect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = read_people(config)
    for part in range(5):
        draw(people, part).to_parquet(tmp_path / f"{part}.parquet", row_group_size=100)
    monkeypatch.setattr(files, "plan_rows", partial(plan_rows, least=500))
    job = open_request(config, DriftRequest(file=str(tmp_path)))
    assert len(job.parts) == 7
    alone = detect(file=str(tmp_path))
    page = artifacts_of(alone)[f"{SERVICE}-drift-by-hand"].data
    with open_cluster(2) as address:
        monkeypatch.setenv("SLUICE_SCALE", address)
        many = detect(file=str(tmp_path))
        outside = read_file(job, map_parts)
    assert many.message == alone.message
    assert strip_link(artifacts_of(many)[f"{SERVICE}-drift-by-hand"].data) == strip_link(page)
    here = read_here(job)
    assert outside.counts.to_dict() == here.counts.to_dict()
    assert outside.counts.rows == 5 * ROWS
    assert outside.sample is not None
    assert here.sample is not None
    assert outside.sample.equals(here.sample)


def strip_link(page: str) -> str:
    """Return a page without the address of its run, which each run has its own of."""
    return re.sub(r"\]\([^)]*\)", "]", page)
