"""`sluice drift`: over many processes only findings go to stdout; a prompt has a report too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.live import drift
from cli.output import report
from sluice.config.loading import load_service
from sluice.drift.live.requests import DriftRequest
from sluice.errors import DataMissing
from sluice.home import Home


def test_what_the_server_reports_is_no_finding(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def start(service: str) -> Iterator[None]:
        report(f"starting the Prefect server for {service}")
        yield

    monkeypatch.setenv("SLUICE_SCALE", "2")
    monkeypatch.setattr(drift, "open_terminal", start)
    config = load_service("employment", "development")
    with pytest.raises(DataMissing, match="has no champion yet"):
        drift._read_scaled(config, DriftRequest(file="rows.parquet"), -1)
    said = capsys.readouterr()
    assert said.out == ""
    assert "starting the Prefect server" in said.err


def test_one_process_needs_no_server(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_SCALE", raising=False)
    config = load_service("employment", "development")
    assert drift._read_scaled(config, DriftRequest(file="rows.parquet"), -1) is None


def test_a_prompt_without_requests_is_not_judged_and_says_what_to_do(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "drift.html"
    with pytest.raises(SystemExit) as ended:
        drift.drift("classify", report=str(page))
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "Not judged: not enough data: classify" in said
    assert "there are no requests before the window" in said
    assert "next: Wait for more requests, or name a longer window" in said
    assert "none serves" in page.read_text()
