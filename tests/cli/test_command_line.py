"""Messages and exit codes of the command line."""

from pathlib import Path

import pytest

from sluice.home import Home
from support.releases.runs import read_complaints, run_sluice


def test_help_lists_every_command(tmp_path: Path) -> None:
    ended = run_sluice("--help", home=tmp_path)
    assert ended.returncode == 0
    commands = ("demo", "ingest", "release", "approve", "refuse", "promote", "log-writer", "show")
    for command in (
        *commands,
        "history",
        "doctor",
        "simulate",
        "feasible",
        "up",
        "log-writer",
        "ui",
    ):
        assert f" {command} " in ended.stdout


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "ingest",
        "release",
        "promote",
        "deploy",
        "show",
        "doctor",
        "up",
        "simulate",
        "log-writer",
    ],
)
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    ended = run_sluice(command, "--help", home=tmp_path)
    assert ended.returncode == 0
    assert "Usage: python -m cli" in ended.stdout


def test_unknown_command_suggests_the_right_one(tmp_path: Path) -> None:
    ended = run_sluice("relase", home=tmp_path)
    assert ended.returncode == 2
    assert "Did you mean 'release'" in ended.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no Prefect server to deploy to: PREFECT_API_URL names none"),
        ("http://127.0.0.1:9/api", "no Prefect server answers at http://127.0.0.1:9/api; next: "),
    ],
)
def test_deploying_where_no_server_is_says_what_to_do(url: str, said: str, tmp_path: Path) -> None:
    ended = run_sluice("deploy", home=tmp_path / "home", PREFECT_API_URL=url)
    assert ended.returncode == 3
    assert ended.stdout.startswith(f"ServerUnavailable: {said}")
    assert read_complaints(ended) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("release",),
        ("promote",),
        ("show",),
        ("history",),
        ("approve", "--by=Ada", "--reason=so"),
        ("ingest", "file.parquet"),
    ],
)
def test_unknown_service_is_refused_before_anything_starts(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    command, *rest = arguments
    ended = run_sluice(command, "nobody", *rest, home=tmp_path / "home")
    assert ended.returncode == 2
    assert ended.stdout.startswith("ServiceUnknown: no service 'nobody'")
    assert "known: arrivals, earnings, employment, injection" in ended.stdout
    assert not (tmp_path / "home").exists()


OVERRIDES = {
    "seed": ("--seed=-5", "override seed: Input should be greater than or equal to -1; found -5"),
    "split seed": ("--split-seed=-2", "override split_seed: Input should be greater than or equal"),
}


@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_override_out_of_range_is_refused(name: str, tmp_path: Path) -> None:
    option, words = OVERRIDES[name]
    ended = run_sluice("release", "employment", option, home=tmp_path / "home")
    assert ended.returncode == 2
    assert ended.stdout.startswith(f"ConfigInvalid: {words}")
    assert not (tmp_path / "home").exists()


def test_option_of_another_type_is_refused(tmp_path: Path) -> None:
    ended = run_sluice("release", "employment", "--seed", "seven", home=tmp_path)
    assert ended.returncode == 2
    assert "'--seed'" in ended.stderr


def test_unknown_environment_is_refused(tmp_path: Path) -> None:
    ended = run_sluice("release", "employment", home=tmp_path, SLUICE_ENV="staging")
    assert ended.returncode == 2
    assert "environment 'staging' is unknown; allowed: development, production" in ended.stdout


def test_unknown_fault_of_the_demo_names_the_known(tmp_path: Path) -> None:
    ended = run_sluice("demo", "--fault", "gremlins", home=tmp_path)
    assert ended.returncode == 2
    for known in ("data", "leakage", "bias", "worse"):
        assert known in ended.stderr


def test_server_that_does_not_answer_is_a_fault(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/api"
    ended = run_sluice("promote", "employment", home=tmp_path, PREFECT_API_URL=nowhere)
    assert ended.returncode == 3
    assert f"ServerUnavailable: no Prefect server answers at {nowhere}" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_registry_that_does_not_answer_is_a_fault(tmp_path: Path) -> None:
    ended = run_sluice("show", home=tmp_path, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert ended.returncode == 3
    assert ended.stdout.startswith("RegistryUnavailable: ")
    assert "http://127.0.0.1:9" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_show_says_how_to_start_where_nothing_is_registered(tmp_path: Path) -> None:
    ended = run_sluice("show", home=tmp_path)
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        f"{name}: nothing registered yet; `sluice release {name}` starts"
        for name in ("arrivals", "earnings", "employment", "injection")
    ]


def test_doctor_finds_a_healthy_machine_well(tmp_path: Path) -> None:
    ended = run_sluice("doctor", home=tmp_path)
    assert ended.returncode == 0, ended.stdout
    for word in ("Python", "state folder", "free disk", "port 4200", "installed packages"):
        assert word in ended.stdout


def test_doctor_says_what_to_do_about_a_state_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    ended = run_sluice("doctor", home=Home(tmp_path / "file").root)
    assert ended.returncode == 1
    assert "SLUICE_HOME" in " ".join(ended.stdout.split())


def test_history_says_how_to_start_where_nothing_was_released(tmp_path: Path) -> None:
    ended = run_sluice("history", "employment", home=tmp_path)
    assert ended.returncode == 0
    assert ended.stdout == "employment: no release yet; `sluice release employment` starts\n"


def test_decision_needs_a_name_and_a_reason(tmp_path: Path) -> None:
    ended = run_sluice("approve", "employment", "--by", "Ada", home=tmp_path)
    assert ended.returncode == 2
    assert "--reason" in ended.stderr
