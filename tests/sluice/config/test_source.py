"""A source is one of four kinds, and an error in it is named with line and key."""

from pathlib import Path
from typing import Any

import pytest

from sluice.config.data import DeltaSource, FilesSource, SqlSource, TrafficSource
from sluice.config.loading import dump_service, load_service
from sluice.errors import ConfigInvalid
from support.releases.sources import configure

SQL = {"kind": "sql", "url_variable": "DATABASE", "query": "select 1"}


def load(folder: Path, **source: Any) -> Any:
    configure(folder, "work", **source)
    return load_service("work", "development", folder)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "files", "path": "/drop/*.csv"}, FilesSource(kind="files", path="/drop/*.csv")),
        ({"kind": "delta", "uri": "/lake/a"}, DeltaSource(kind="delta", uri="/lake/a", version=-1)),
        (
            {"kind": "delta", "uri": "s3://lake/a", "version": 3},
            DeltaSource(kind="delta", uri="s3://lake/a", version=3),
        ),
        (SQL, SqlSource(kind="sql", url_variable="DATABASE", query="select 1", watermark="")),
        (
            {"kind": "traffic", "maturity": "30 d", "labels": "selective"},
            TrafficSource.model_validate(
                {"kind": "traffic", "maturity": "720 h", "labels": "selective"}
            ),
        ),
    ],
)
def test_each_kind_is_read(source: dict[str, Any], expected: Any, tmp_path: Path) -> None:
    config = load(tmp_path, **source)
    assert config.source == expected
    (tmp_path / "work.yaml").write_text(dump_service(config), encoding="utf-8")
    assert load_service("work", "development", tmp_path) == config


def test_no_source_is_none(tmp_path: Path) -> None:
    assert load(tmp_path).source is None


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown kind": (
        {"kind": "kafka", "path": "/a"},
        "source.kind: found 'kafka'; allowed: 'files', 'delta', 'sql', 'traffic'",
    ),
    "no kind": ({"path": "/a"}, "source.kind: Field required; allowed: files, delta, sql, traffic"),
    "unknown key": (
        {"kind": "files", "pth": "/a", "path": "/a"},
        "source.pth: unknown key (did you mean `path`?); allowed: kind, path",
    ),
    "relative path": (
        {"kind": "files", "path": "drop"},
        "source.path: found 'drop', allowed: an absolute path",
    ),
    "relative folder": (
        {"kind": "delta", "uri": "lake"},
        "source.uri: found 'lake', allowed: an absolute path",
    ),
    "URL instead of a variable": (
        # pragma: allowlist nextline secret
        {**SQL, "url_variable": "postgresql://a:b@c/d"},
        "source.url_variable: String should match pattern",
    ),
    "unknown bind": (
        {**SQL, "query": "select :day"},
        "source.query: found bind parameter `:day`, allowed: `:since`",
    ),
    "no maturity": ({"kind": "traffic"}, "source.maturity: Field required"),
    "maturity without a unit": (
        {"kind": "traffic", "maturity": 7},
        "source.maturity: found 7; allowed: a number and s, min, h or d, such as 90 min",
    ),
    "request id where the id is a number": (
        {"kind": "traffic", "maturity": "7 d", "id": "request"},
        "source.id: found `request`, which is a text, but 'person_id' (data.id) is integer; "
        "allowed: `inputs`",
    ),
    "time of the answer where the time is a number": (
        {"kind": "traffic", "maturity": "7 d", "time": "answer"},
        "source.time: found `answer`, which is a timestamp, but 'survey_year' (data.time) is "
        "integer; allowed: `inputs`",
    ),
    "since without watermark": (
        {**SQL, "query": "select :since"},
        "source.query: `:since` needs `watermark`",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_an_error_is_named_with_line_and_key(name: str, tmp_path: Path) -> None:
    source, words = WRONG[name]
    path = configure(tmp_path, "work", **source)
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.startswith("source:"))
    with pytest.raises(ConfigInvalid) as caught:
        load_service("work", "development", tmp_path)
    assert str(caught.value).startswith(f"{path}:{line}: {words}")


def test_a_times_colon_is_no_bind_parameter(tmp_path: Path) -> None:
    assert load(tmp_path, **{**SQL, "query": "select '12:30:00'"}).source.uses_since is False
