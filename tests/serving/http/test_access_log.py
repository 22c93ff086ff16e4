"""The access log has one line per answer, without a caller's data."""

import json
from pathlib import Path

from serving.http.access_log import open_access_log
from serving.log.records import AssignedArm
from sluice.config.serving import AccessLogConfig
from support.gateway.records import make_answer


def read_lines(tmp_path: Path, level: str) -> list[dict[str, object]]:
    path = tmp_path / "access.log"
    settings = AccessLogConfig.model_validate({"level": level, "file": str(path)})
    log = open_access_log(settings)
    assert log is not None
    failed = make_answer(2, arm=AssignedArm.CANDIDATE, arm_version=4, failed=True, fallback=True)
    log.write([make_answer(1), failed])
    log.write([make_answer(3)])
    log.close()
    assert log.dropped == 0
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_answer_has_its_line_in_order(tmp_path: Path) -> None:
    lines = read_lines(tmp_path, "all")
    assert [line["request_id"] for line in lines] == ["r1", "r2", "r3"]
    assert lines[1]["arm"] == "candidate"
    assert (lines[1]["version"], lines[1]["arm_version"]) == (3, 4)
    assert str(lines[0]["at"]).endswith("+00:00")


def test_lines_hold_no_data_of_the_caller(tmp_path: Path) -> None:
    read_lines(tmp_path, "all")
    text = (tmp_path / "access.log").read_text()
    assert not any(word in text for word in ("age", "yes", "unit"))


def test_level_errors_leaves_out_successful_answers(tmp_path: Path) -> None:
    assert [line["request_id"] for line in read_lines(tmp_path, "errors")] == ["r2"]


def test_level_off_is_no_log() -> None:
    assert open_access_log(AccessLogConfig(level="off")) is None
