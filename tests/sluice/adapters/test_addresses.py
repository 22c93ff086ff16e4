"""Addresses are those of the stack that runs in the state folder, for every process alike."""

import os
from pathlib import Path

import pytest

from sluice.adapters.addresses import (
    Page,
    find_gateways,
    find_registry_page,
    find_status_page,
    record_pages,
)
from sluice.adapters.server.record import StackRecord, clear_stack, write_stack
from sluice.config.serving import GatewayConfig
from sluice.home import Home

PLACES = {"gateway": "http://127.0.0.1:8093", "rollouts": "http://127.0.0.1:8094"}
RECORD = StackRecord(os.getpid(), "http://p", "http://127.0.0.1:5007", "one", "log", 4, **PLACES)
NAMED = {
    "SLUICE_GATEWAY_URLS": "http://a:1, http://b:2/",
    "SLUICE_MLFLOW_UI": "http://m/",
    "SLUICE_STATUS_UI": "http://r/",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in (*NAMED, "SLUICE_ROLLOUT_UI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path)


def test_the_former_name_of_the_status_page_still_counts(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_ROLLOUT_UI", "http://old/")
    assert find_status_page(home) == "http://old"
    monkeypatch.setenv("SLUICE_STATUS_UI", "http://new/")
    assert find_status_page(home) == "http://new"


def find_all(home: Home) -> tuple[list[str], str, str]:
    pages = find_registry_page(home).address, find_status_page(home)
    return find_gateways(home, GatewayConfig()), *pages


def test_the_stack_that_runs_here_says_where_everything_is(home: Home) -> None:
    write_stack(home, RECORD)
    assert find_all(home) == ([RECORD.gateway], RECORD.mlflow, RECORD.rollouts)
    clear_stack(home)
    assert find_all(home) == (["http://127.0.0.1:8080"], "http://127.0.0.1:5000", "")


def test_what_is_named_comes_before_the_stack(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stack(home, RECORD)
    for name, value in NAMED.items():
        monkeypatch.setenv(name, value)
    assert find_all(home) == (["http://a:1", "http://b:2"], "http://m", "http://r")
    monkeypatch.delenv("SLUICE_GATEWAY_URLS")
    assert find_gateways(home, GatewayConfig(replicas=("http://c:3",))) == ["http://c:3"]


def test_pages_of_sluice_ui_are_found_while_it_runs(home: Home) -> None:
    with record_pages(home, "http://127.0.0.1:5003"):
        assert find_registry_page(home) == Page("http://127.0.0.1:5003")
        (home.root / "pages.json").write_text('{"pid": 4194305, "mlflow": "http://gone"}')
        assert find_registry_page(home) == Page("http://127.0.0.1:5000", is_served=False)
    assert not (home.root / "pages.json").exists()


def test_a_registry_server_has_its_pages_itself(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000/")
    assert find_registry_page(home) == Page("http://mlflow:5000")
