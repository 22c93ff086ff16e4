"""With `SLUICE_LOG=json` a command that runs a flow has nothing but lines of JSON on stdout."""

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from cli.stack import keep_stack
from sluice.adapters.server.stack import StackOptions
from sluice.errors import ConfigInvalid
from sluice.home import Home
from support.releases.runs import run_sluice
from support.releases.sources import rows_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "2015.parquet"
    rows_of(2015, 600).assign(age=900).to_parquet(path, index=False)
    return path


def test_log_of_a_flow_run_is_json_on_stdout(home: Home, file: Path) -> None:
    ended = run_sluice("ingest", "employment", str(file), home=home.root, SLUICE_LOG="json")
    assert ended.returncode == 1
    assert "DataRejected" in ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {line["process"] for line in lines} == {"flow run"}
    own = [line for line in lines if line["logger"].startswith("prefect.")]
    assert {line["service"] for line in own if "service" in line} == {"employment"}
    assert len({line["run_id"] for line in own if "run_id" in line}) == 1
    read = next(line for line in lines if "schema as configured" in line["message"])
    assert (read["flow"], read["run"]) == ("ingest", "employment 2015.parquet")
    assert read["task"].startswith("validate batch")
    assert any(line["level"] == "error" for line in lines)


def test_setting_that_is_not_allowed_ends_the_command(home: Home, file: Path) -> None:
    ended = run_sluice("ingest", "employment", str(file), home=home.root, SLUICE_LOG="xml")
    assert ended.returncode == 2
    assert "SLUICE_LOG: found 'xml'; allowed: text, json" in ended.stdout


def test_stack_is_not_started_with_a_setting_that_is_not_allowed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_LOG", "xml")
    with (
        patch("cli.stack._bring_up", side_effect=AssertionError("it was started")),
        pytest.raises(ConfigInvalid, match="SLUICE_LOG: found 'xml'; allowed: text, json"),
    ):
        keep_stack(StackOptions())
