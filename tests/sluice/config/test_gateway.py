"""The gateway's settings: strict, and replaced by an environment's overlay."""

from pathlib import Path

import pytest

from sluice.config.loading import load_gateway
from sluice.config.serving import GatewayConfig
from sluice.errors import ConfigInvalid


def test_file_of_the_project_has_the_defaults() -> None:
    assert load_gateway("production") == GatewayConfig()


def test_without_a_file_the_defaults_apply(tmp_path: Path) -> None:
    assert load_gateway("development", tmp_path) == GatewayConfig()


def test_overlay_replaces_values_section_by_section(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("traffic_log: {batch_rows: 2000, retention_days: 7}\n")
    (tmp_path / "production.yaml").write_text("traffic_log: {retention_days: 90}\n")
    found = load_gateway("production", tmp_path).traffic_log
    assert (found.batch_rows, found.retention_days) == (2000, 90)
    assert load_gateway("development", tmp_path).traffic_log.retention_days == 7


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("traffic_log: {batch_row: 2000}", "did you mean `batch_rows`"),
        ("traffic_log: {batch_rows: 10}", r"gateway.yaml:1: traffic_log.batch_rows: .*1000"),
        ("hosts: ['http://page.example']", r"gateway.yaml:1: hosts.0: "),
        ("limits: {body_bytes: 8388608}", r"limits.body_bytes: .*4194304"),
        ("limits: {incoming_bytes: 2097152}", r"limits.incoming_bytes: .*at least 4194304"),
        ("access_log: {level: loud}", r"access_log.level: .*'off', 'errors' or 'all'"),
        ("access_log: {file: access.log}", r"access_log.file: found 'access.log', allowed: an abs"),
    ],
)
def test_wrong_setting_is_refused_by_name(tmp_path: Path, text: str, names: str) -> None:
    (tmp_path / "gateway.yaml").write_text(text)
    with pytest.raises(ConfigInvalid, match=names):
        load_gateway("development", tmp_path)


def test_unknown_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="'staging' is unknown; allowed: development, prod"):
        load_gateway("staging", tmp_path)
