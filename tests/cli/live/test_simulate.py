"""What the commands `simulate` and `feasible` print, draw, refuse and return."""

from pathlib import Path

import pytest

from sluice.home import CONFIGS
from support.releases.runs import read_complaints, run_sluice


def test_simulate_prints_each_way_to_judge_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "rules.png"
    arguments = ("--rps", "150", "--errors", "0.002", "--latency", "2", "--runs", "20")
    ended = run_sluice("simulate", "laptop", *arguments, "--plot", str(picture), home=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for words in ("150 requests/s, 0.20% errors, synthetic; seed 1", "evidence", "5 failed checks"):
        assert words in ended.stdout
    assert (
        "rules: error_rate, error_margin, latency_double, latency_margin, guardrail" in ended.stdout
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rules.png"]


def test_recorded_counts_stand_in_for_rates(tmp_path: Path) -> None:
    counts = tmp_path / "counts.csv"
    rows = [f"{block},{block},0,{2000 + block},{20 + block % 7}" for block in range(100)]
    counts.write_text("block,n_c,k_c,n_b,k_b\n" + "\n".join(rows), encoding="utf-8")
    arguments = ("--traffic", str(counts), "--runs", "20")
    ended = run_sluice("simulate", "laptop", *arguments, home=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "traffic: 100 recorded blocks, 1.12% errors" in ended.stdout
    assert "quarter: latency_margin counts as passed, for want of counts" in ended.stdout
    assert "as recorded" in ended.stdout


def test_options_describe_the_fault_and_what_both_arms_meet(tmp_path: Path) -> None:
    fault = ("--fault", "costs=9", "--fault", "slowdown=1.01", "--onset", "0.5")
    both = ("--incident", "1", "0.2", "0.05", "--drift", "0", "3", "0.003", "--clustering", "0.2")
    signals = ("--apart", "--signal", "cost_spread=0.5", "--runs", "20")
    rate = ("--rps", "400", "--errors", "0.002", "--latency", "2")
    ended = run_sluice("simulate", "laptop", *rate, *fault, *both, *signals, home=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "slowdown x1.01, costs x9: paused for a person in 1.000, by cost" in ended.stdout


@pytest.mark.slow  # whole rollouts are simulated
def test_stage_that_passes_on_business_alone_is_named(tmp_path: Path) -> None:
    policy = tmp_path / "shop.yaml"
    text = (CONFIGS / "policies" / "laptop.yaml").read_text(encoding="utf-8")
    text = text.replace("policy: laptop", "policy: shop").replace(
        "passes: [latency_margin]", "passes: [business]"
    )
    business = "rules:\n  business: {metric: paid, cap: 1, margin: 0.2}\n"
    policy.write_text(text.replace("rules:\n", business), encoding="utf-8")
    arguments = ("--rps", "150", "--errors", "0.002", "--latency", "2", "--runs", "20")
    given = ("--policy", str(policy), "--signal", "valued=0.5")
    ended = run_sluice("feasible", "earnings", *arguments, *given, home=tmp_path)
    assert "earnings: policy shop at 150 requests/s" in ended.stdout, ended.stderr
    assert "quarter: passes on business alone; errors and latency can stop it" in ended.stdout


@pytest.mark.slow  # whole rollouts are simulated
def test_feasible_ends_with_1_and_says_what_to_change(tmp_path: Path) -> None:
    arguments = ("--rps", "60", "--errors", "0.002", "--latency", "2", "--runs", "40")
    lines = (CONFIGS / "policies" / "laptop.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if "name: quarter" not in line and "name: half" not in line]
    policy = tmp_path / "short.yaml"
    text = "\n".join(kept).replace("policy: laptop", "policy: short")
    policy.write_text(text, encoding="utf-8")
    given = ("employment", "--policy", str(policy))
    ended = run_sluice("feasible", *given, *arguments, home=tmp_path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "canary: passes by max in " in ended.stdout
    assert "  next: canary.weight 0.05 -> " in ended.stdout
    assert "  next: rules.error_margin.margin 0.02 -> " in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("simulate", "swift"), "ConfigInvalid: no policy 'swift' in "),
        (("feasible", "nobody", "--rps", "5"), "ServiceUnknown: no service 'nobody'"),
        (
            ("feasible", "employment", "--policy", "none.yaml", "--rps", "5"),
            "ConfigInvalid: none.yaml: cannot be read",
        ),
        (("simulate", "laptop", "--traffic", "none.csv"), "DataInvalid: none.csv: cannot be read"),
        (
            ("simulate", "laptop", "--fault", "speed=2"),
            "ConfigInvalid: --fault: found 'speed=2'; allowed: errors=, slowdown=, guardrails=, ",
        ),
        (
            ("feasible", "employment", "--rps", "nan"),
            "ConfigInvalid: --rps: found nan; allowed: 0.01 to 1e+06",
        ),
        (
            ("simulate", "laptop", "--signal", "value=many"),
            "ConfigInvalid: --signal value: found 'many'; allowed: a number",
        ),
        (
            ("simulate", "laptop", "--incident", "1", "1", "30"),
            "ConfigInvalid: --incident: errors: found 30; allowed: 0 to 1",
        ),
    ],
)
def test_bad_input_is_refused(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    ended = run_sluice(*arguments, home=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout.startswith(words)
    assert read_complaints(ended) == ""
