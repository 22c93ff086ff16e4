"""What the commands `simulate` and `feasible` print, draw, refuse and return."""

from pathlib import Path

import pytest

from support import run_sluice


def test_simulate_prints_each_way_to_judge_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "rules.png"
    arguments = ("--rps", "150", "--errors", "0.002", "--latency", "2", "--runs", "20")
    ended = run_sluice("simulate", "laptop", *arguments, "--plot", str(picture), home=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for words in ("150 requests/s, 0.20% errors, made up; seed 1", "evidence", "5 failed checks"):
        assert words in ended.stdout
    assert "not simulated: guardrail, feedback, cost, business" in ended.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rules.png"]


def test_recorded_counts_stand_in_for_rates(tmp_path: Path) -> None:
    counts = tmp_path / "counts.csv"
    rows = [f"{block},0,0,{2000 + block},{20 + block % 7}" for block in range(100)]
    counts.write_text("block,n_c,k_c,n_b,k_b\n" + "\n".join(rows), encoding="utf-8")
    arguments = ("--traffic", str(counts), "--runs", "20")
    ended = run_sluice("simulate", "laptop", *arguments, home=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "traffic: 100 recorded blocks, 1.12% errors" in ended.stdout
    assert "not simulated: latency, " in ended.stdout


def test_feasible_ends_with_1_and_says_what_to_change(tmp_path: Path) -> None:
    arguments = ("--rps", "60", "--errors", "0.002", "--latency", "2", "--runs", "40")
    ended = run_sluice("feasible", "laptop", *arguments, home=tmp_path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "canary: passes by max in " in ended.stdout
    assert "  next: canary.weight 0.05 -> " in ended.stdout
    assert "  next: rules.error_margin.margin 0.02 -> " in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("simulate", "swift"), "ConfigInvalid: no policy 'swift' in "),
        (("feasible", "none.yaml", "--rps", "5"), "ConfigInvalid: none.yaml: cannot be read"),
        (("simulate", "laptop", "--traffic", "none.csv"), "DataInvalid: none.csv: cannot be read"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    ended = run_sluice(*arguments, home=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout.startswith(words)
    assert ended.stderr == ""
