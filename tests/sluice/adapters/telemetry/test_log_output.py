"""The log of a process goes where `SLUICE_LOG` says, in whole lines."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice.adapters.telemetry.log_output import LineSink, find_sink
from sluice.errors import ConfigInvalid
from sluice.log_lines import MOST_BYTES

PROGRAM = """
import logging, threading, warnings
from sluice.adapters.telemetry.log_output import start_log
start_log("log-writer")
logging.getLogger("sluice.log_writer").info("moved %d records", 3, extra={"service": "a"})
warnings.warn("old")
def fail(): raise ValueError("a secret")
thread = threading.Thread(target=fail, name="reader")
thread.start(); thread.join()
fail()
"""

RUN = """
import logging
from sluice.adapters.telemetry.log_output import join_json_log
logging.basicConfig(format="%(message)s", level=logging.INFO)
for name in ("flow", "task"):
    join_json_log("flow run")
    logging.getLogger("prefect.flow_runs").info("a %s", name)
"""


def run(setting: str, program: str = PROGRAM) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "SLUICE_LOG": setting}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_that_a_process_says_is_json_on_stdout() -> None:
    done = run("json")
    assert (done.returncode, done.stderr) == (1, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning", "error", "critical"]
    assert {line["process"] for line in lines} == {"log-writer"}
    assert (lines[0]["message"], lines[0]["service"]) == ("moved 3 records", "a")
    assert lines[1]["logger"] == "py.warnings"
    assert lines[2]["message"] == "thread reader ended by an error"
    assert {line["error"] for line in lines[2:]} == {"ValueError"}
    assert "in fail" in lines[3]["traceback"]
    assert "a secret" not in done.stdout


def test_lines_go_to_a_file_instead(tmp_path: Path) -> None:
    path = tmp_path / "sluice.jsonl"
    done = run(f"json:{path}")
    assert (done.stdout, done.stderr) == ("", "")
    assert len(path.read_text().splitlines()) == 4
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("is_file", [False, True])
def test_lines_of_a_run_replace_those_on_stdout_or_come_besides(
    is_file: bool, tmp_path: Path
) -> None:
    path = tmp_path / "sluice.jsonl"
    done = run(f"json:{path}" if is_file else "json", RUN)
    lines = path.read_text() if is_file else done.stdout
    assert [json.loads(line)["message"] for line in lines.splitlines()] == ["a flow", "a task"]
    assert done.stderr == ("a flow\na task\n" if is_file else "")


def test_text_is_the_default() -> None:
    done = run("")
    assert done.stdout == ""
    assert done.stderr.startswith("INFO moved 3 records\n")


@pytest.mark.parametrize("setting", ["xml", "json:", "json:sluice.jsonl", "text:/a"])
def test_setting_that_is_not_allowed_is_refused(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_LOG", setting)
    with pytest.raises(ConfigInvalid, match=f"SLUICE_LOG: found '{setting}'; allowed: text, json"):
        find_sink()


def test_file_that_cannot_be_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_LOG", f"json:{tmp_path / 'none' / 'a'}")
    with pytest.raises(ConfigInvalid, match=r"No such file or directory; next: create its folder"):
        find_sink()


def test_file_that_was_moved_away_is_created_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    sink = LineSink(path)
    sink.write(["1"])
    path.rename(tmp_path / "a.jsonl.1")
    sink.write(["2"])
    assert path.read_text() == "2\n"
    assert (tmp_path / "a.jsonl.1").read_text() == "1\n"


def test_lines_of_many_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    sinks = [LineSink(path), LineSink(path)]
    lines = [letter * (MOST_BYTES - 1) for letter in "abcdefgh"]
    with ThreadPoolExecutor(8) as pool:
        for turn in range(20):
            pool.submit(sinks[turn % 2].write, lines)
    found = path.read_text().splitlines()
    assert sorted(found) == sorted(lines * 20)
