"""Log, configuration and addresses, read from real files."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from serving.log.tables import COLUMNS, Kind
from serving.page.status.facts import Surroundings
from serving.page.status.files import FileReader, find_addresses, keep_web
from sluice.adapters.traffic.log import HOUR, append_records
from sluice.data.retention import format_hour
from sluice.home import CONFIGS, Home

NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
SERVICE = "service: town\n"


def write(uri: Path, kind: Kind, rows: Sequence[dict[str, object]]) -> None:
    """Append records with the columns that the log-writer writes."""
    hours = [format_hour(row["at"].timestamp()) for row in rows]  # type: ignore[attr-defined]
    columns = {
        name: pa.array([row.get(name) for row in rows], kind_of)
        for name, kind_of in COLUMNS[kind].items()
    }
    append_records(uri, pa.table({**columns, HOUR: pa.array(hours)}), {"source": len(rows)}, 0.0)


def read(home: Home, configs: Path | None = None) -> Surroundings:
    return FileReader(home, configs or home.root / "no-configs", lambda: NOW).read()


def test_answers_of_the_last_minutes_are_counted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    minutes = (0.1, 1, 4.9, 5.1, 90)
    rows = [
        {"at": NOW - timedelta(minutes=one), "failed": one in (1, 90), "request_id": str(one)}
        for one in minutes
    ]
    write(home.answers("town"), Kind.ANSWERS, rows)
    found = read(home).traffic["town"]
    assert (found.requests, found.failures, found.per_minute) == (3, 1, 0.6)
    assert found.newest == NOW - timedelta(minutes=0.1)


def test_a_service_without_traffic_says_when_the_last_answer_was(tmp_path: Path) -> None:
    home = Home(tmp_path)
    old = NOW - timedelta(hours=7)
    write(home.answers("town"), Kind.ANSWERS, [{"at": old, "failed": False}])
    found = read(home).traffic["town"]
    assert (found.requests, found.newest, found.problem) == (0, old, "")


def test_labels_are_counted_by_service_and_ratings_apart(tmp_path: Path) -> None:
    home = Home(tmp_path)
    hours = {"town": (1, 5, 30), "other": (100,), "older": (24 * 8,)}
    rows = [
        {"at": NOW - timedelta(hours=one), "service": name, "label": '"yes"'}
        for name, ages in hours.items()
        for one in ages
    ]
    rows.append({"at": NOW - timedelta(hours=1), "label": '"of an answer not known yet"'})
    rating = {"at": NOW - timedelta(minutes=1), "service": "town", "rating": 1.0}
    write(home.feedback, Kind.FEEDBACK, [*rows, rating])
    found = read(home).feedback
    town = found["town"]
    assert (town.labels, town.others, town.newest) == (2, 1, NOW - timedelta(hours=1))
    assert (found["other"].labels, found["other"].newest) == (0, NOW - timedelta(hours=100))
    assert "older" not in found
    assert "" not in found


def test_without_a_log_nothing_is_known_and_nothing_fails(tmp_path: Path) -> None:
    found = read(Home(tmp_path))
    assert (found.traffic, found.feedback, found.configurations) == ({}, {}, {})


def test_a_damaged_table_says_so_in_its_own_place(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for uri in (home.answers("town"), home.feedback):
        (uri / "_delta_log").mkdir(parents=True)
        (uri / "_delta_log" / f"{0:020}.json").write_text("no table")
    found = read(home)
    assert found.traffic["town"].problem
    assert found.feedback[""].problem


def test_a_configuration_is_checked_again_after_it_changed(tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    configs.mkdir()
    file = configs / "town.yaml"
    file.write_text("service: town\nsplitt: 3\n")
    reader = FileReader(Home(tmp_path / "home"), configs, lambda: NOW)
    problem = reader.read().configurations["town"]
    assert "splitt" in problem
    file.write_text("service: [town\n")
    assert reader.read().configurations["town"] != problem
    file.unlink()
    assert reader.read().configurations == {}


def test_rules_that_are_not_valid_are_a_problem_of_each_service(tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    (configs / "monitoring").mkdir(parents=True)
    rules = configs / "monitoring" / "rules.yaml"
    shutil.copy(CONFIGS / "employment.yaml", configs)
    rules.write_text("rules: {latency: {abov: 3}}\n")
    reader = FileReader(Home(tmp_path / "home"), configs, lambda: NOW)
    found = reader.read()
    assert "rules.yaml" in found.configurations["employment"]
    assert found.runbooks == {}
    shutil.copy(CONFIGS / "monitoring" / "rules.yaml", rules)
    found = reader.read()
    assert found.configurations == {"employment": ""}
    assert "gateway" in found.runbooks["no-traffic"].look
    with (configs / "employment.yaml").open("a") as file:
        file.write("monitoring: {rules: {no-such: {enabled: false, reason: there is none}}}\n")
    assert "no rule 'no-such'" in reader.read().configurations["employment"]


def test_links_lead_only_to_pages_that_are_known_to_be_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLUICE_MLFLOW_UI", "PREFECT_UI_URL", "PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    home = Home(tmp_path)
    assert (find_addresses(home).registry, find_addresses(home).orchestrator) == ("", "")
    monkeypatch.setenv("SLUICE_MLFLOW_UI", "https://m.example/")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    found = find_addresses(home)
    assert (found.registry, found.orchestrator) == ("https://m.example", "http://127.0.0.1:4200")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "file:///etc", "//x", "", " http://x"])
def test_no_other_address_becomes_a_link(address: str) -> None:
    assert keep_web(address) == ""
