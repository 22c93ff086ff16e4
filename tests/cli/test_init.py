"""`sluice init` on other people's files, and on files that it refuses."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.loading import load_service
from sluice.home import SUITES
from support.releases.runs import Run
from support.servers.forks import run_command

NOBODY = ("--sensitive", "none", "--reason", "Nothing here is about a person.")
RELIGIOUS = ("--sensitive", "religious", "--favourable", "no")
CASES = Path(__file__).resolve().parents[1] / "cases"


def survey() -> pd.DataFrame:
    """A survey of 6,366 people that statsmodels ships; the last column turned into yes or no."""
    from statsmodels.datasets import fair

    rows = fair.load_pandas().data
    rows["affair"] = (rows.pop("affairs") > 0).map({True: "yes", False: "no"})
    return rows.rename_axis("row_id").reset_index()


def write(project: Path, rows: pd.DataFrame, name: str = "survey.csv") -> str:
    rows.to_csv(project / name, index=False)
    return str(project / name)


def files_of(project: Path) -> list[str]:
    """The services' files, without the two overlays."""
    found = [*(project / "configs").iterdir(), *(project / "gx").rglob("*.json")]
    return sorted(path.name for path in found if path.stem not in ("development", "production"))


def refusal(ended: Any, project: Path) -> str:
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert files_of(project) == []
    return str(ended.stdout.splitlines()[-1])


def test_a_survey_becomes_a_service(project: Path, sluice: Run) -> None:
    file = write(project, survey())
    ended = sluice("init", file, "--target", "affair", *RELIGIOUS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert files_of(project) == ["survey.json", "survey.yaml"]
    config = load_service("survey", "development", project / "configs")
    assert (config.problem, config.data.id, config.data.positive) == ("binary", "row_id", "yes")
    assert "religious" not in config.data.features
    assert (config.bias.sensitive, config.bias.favourable) == (("religious",), "no")
    assert config.evaluation.floors["auc"] > 0.5
    for words in ("Guessed", "are held out", "equal models pass (power .8) down to", "sluice inge"):
        assert words in " ".join(ended.stdout.split())


def test_every_guess_has_its_reason_beside_it(project: Path, sluice: Run) -> None:
    file = write(project, survey())
    assert sluice("init", file, "--target", "affair", *NOBODY).returncode == 0
    text = (project / "configs" / "survey.yaml").read_text(encoding="utf-8")
    for key in ("problem", "id", "positive", "limit", "by", "holdout", "kind", "margin", "auc"):
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
        assert " # " in line, line


@pytest.mark.slow
def test_the_suite_has_the_kinds_of_rules_of_the_default_one(project: Path, sluice: Run) -> None:
    rows = survey().sample(frac=1.0, random_state=0)
    rows = rows.assign(seen=pd.date_range("2026-01-01", periods=6366, freq="h", tz="UTC"))
    rows["seen"] = rows["seen"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    file = write(project, rows)
    assert sluice("init", file, "--target", "affair", *NOBODY).returncode == 0
    made, known = (
        json.loads((folder / "expectations" / name).read_text())["expectations"]
        for folder, name in ((project / "gx", "survey.json"), (SUITES, "employment.json"))
    )
    volume = "expect_table_row_count_to_be_between", "expect_new_rows_to_be_share_of_previous"
    expected = {rule["type"] for rule in known} - set(volume)
    assert {rule["type"] for rule in made} == {*expected, "expect_new_rows_to_follow_feed"}
    assert len({rule["id"] for rule in made}) == len(made)
    assert not {rule["id"] for rule in made} & {rule["id"] for rule in known}
    config = load_service("survey", "development", project / "configs")
    assert (config.data.time, config.split.by) == ("seen", "time")


def test_sensitive_columns_are_asked_for(project: Path, sluice: Run) -> None:
    said = refusal(sluice("init", write(project, survey()), "--target", "affair"), project)
    assert said.startswith("ChoiceNeeded: ")
    assert "suspected: " in said
    for clue in ("age (its name says age)", "religious (its name says religious)"):
        assert clue in said


def answer(project: Path, answers: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `sluice init` at a terminal where a person types the answers."""
    here, there = os.openpty()
    os.write(here, answers.encode())
    environment = {
        **os.environ,
        "SLUICE_CONFIGS": str(project / "configs"),
        "SLUICE_SUITES": str(project / "gx"),
    }
    done = run_command("cli", ["init", *arguments], environment, 180.0, stdin=there)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_at_a_terminal_the_question_is_asked_and_the_answer_taken(project: Path) -> None:
    file = write(project, survey())
    done = answer(project, "religious\nno\n", file, "--target", "affair")
    assert "perhaps sensitive: religious, its name says religious" in done.stdout
    assert "Which class of 'affair' is good for a person (no, yes)" in done.stdout
    config = load_service("survey", "development", project / "configs")
    assert (config.bias.sensitive, config.bias.favourable) == (("religious",), "no")


@pytest.mark.slow
def test_at_a_terminal_likely_times_ids_groups_and_leaks_are_asked(project: Path) -> None:
    rows = survey().sample(frac=1.0, random_state=0)
    n, random = len(rows), np.random.default_rng(0)
    rows = rows.rename(columns={"row_id": "form_id"})
    rows["letter_no"] = random.permutation(n) * 3 + 11
    for name, start in (("asked", "2026-01-01"), ("answered", "2026-02-01")):
        days = pd.date_range(start, periods=n, freq="h", tz="UTC")
        rows[name] = days.strftime("%Y-%m-%dT%H:%M:%SZ")
    rows["town_id"], rows["church_id"] = random.integers(0, 900, n), random.integers(0, 500, n)
    yes = (rows["affair"] == "yes").astype(int)
    rows["flag"] = np.where(random.random(n) < 0.02, 1 - yes, yes)
    answers = "letter_no\nanswered\nnone\ny\n"
    done = answer(project, answers, write(project, rows), "--target", "affair", *NOBODY)
    for words in (
        "perhaps: form_id, named like an id",
        "Which column names each row",
        "perhaps: answered, holds dates",
        "Which column says when a row happened (or none)",
        "perhaps: town_id",
        "Is flag known before the outcome",
    ):
        assert words in done.stdout
    config = load_service("survey", "development", project / "configs")
    assert (config.data.id, config.data.time, config.split.group) == ("letter_no", "answered", "")
    assert config.data.leakage.allowed == ("flag",)
    assert "flag" in config.data.features
    assert not {"form_id", "town_id", "church_id"} & set(config.data.features)


def test_the_favourable_class_is_asked_for_with_the_harmful_one(project: Path, sluice: Run) -> None:
    file = str(CASES / "14_positive_is_harmful.csv")
    flags = ("--target", "churned", "--sensitive", "senior", "--service", "churn")
    said = refusal(sluice("init", file, *flags), project)
    assert "--favourable: a person must decide which class of 'churned' is good" in said
    assert "allowed: no, yes; yes is probably harmful (the column's name says churned)" in said
    assert sluice("init", file, *flags, "--favourable", "no").returncode == 0
    config = load_service("churn", "development", project / "configs")
    assert (config.data.positive, config.bias.favourable) == ("yes", "no")


def test_two_likely_times_are_refused_with_the_option(project: Path, sluice: Run) -> None:
    rows = survey()
    for name in ("asked", "answered"):
        days = pd.date_range("2026-01-01", periods=len(rows), freq="h", tz="UTC")
        rows[name] = days.strftime("%Y-%m-%dT%H:%M:%SZ")
    file = write(project, rows)
    said = refusal(sluice("init", file, "--target", "affair", *NOBODY), project)
    assert "--time: 2 columns may say when a row happened: asked" in said
    assert sluice("init", file, "--target", "affair", "--time", "none", *NOBODY).returncode == 0


@pytest.mark.slow
def test_what_is_left_out_is_listed_with_reason_and_cost(project: Path, sluice: Run) -> None:
    rows = survey()
    yes = (rows["affair"] == "yes").astype(int)
    rows["flag"] = np.where(np.random.default_rng(1).random(len(rows)) < 0.02, 1 - yes, yes)
    ended = sluice("init", write(project, rows), "--target", "affair", *NOBODY)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    output = " ".join(ended.stdout.split())
    assert "Left out of the features" in output
    assert "flag target leakage: power 0.9" in output
    assert "in the trial" in output
    assert "comes back with --keep COLUMN" in output
    file = str(CASES / "21_leak_of_two_columns.csv")
    ended = sluice("init", file, "--target", "late", "--service", "flights", *NOBODY)
    assert "too good auc 1.000 in the trial: several columns together may tell the outcome" in (
        " ".join(ended.stdout.split())
    )


def test_nothing_is_overwritten_without_force(project: Path, sluice: Run) -> None:
    file = write(project, survey())
    assert sluice("init", file, "--target", "affair", *NOBODY).returncode == 0
    path = project / "configs" / "survey.yaml"
    path.write_text("# mine\n", encoding="utf-8")
    ended = sluice("init", file, "--target", "affair", *NOBODY)
    assert ended.returncode == 2
    assert ended.stdout.startswith("ServiceExists: service 'survey' has ")
    assert path.read_text(encoding="utf-8") == "# mine\n"
    assert sluice("init", file, "--target", "affair", *NOBODY, "--force").returncode == 0
    assert path.read_text(encoding="utf-8") != "# mine\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--target", "afair"), "--target: no column 'afair' (did you mean 'affair'?); allowed: "),
        (("--target", "affair", "--id", "key"), "--id: no column 'key'"),
        (("--target", "affair", "--id", "educ"), "'educ' is number; allowed: integer or text"),
        (("--target", "affair", "--time", "when"), "--time: no column 'when'"),
        (("--target", "affair", "--positive", "maybe"), "'maybe' is no value of 'affair'; allowed"),
        (("--target", "affair", "--service", "My Service"), "allowed: 2 to 41 lower-case letters"),
        (("--target", "affair", "--sensitive", "sex"), "--sensitive: no column 'sex'"),
        (("--target", "affair", "--sensitive", "none"), "--sensitive none needs --reason"),
        (("--target", "affair", "--keep", "what"), "--keep: no column 'what'"),
        (("--target", "affair", "--group", "town"), "--group: no column 'town'"),
        (("--target", "affair", "--favourable", "maybe"), "--favourable: 'maybe' is no value"),
    ],
)
def test_a_wrong_option_is_refused(
    project: Path, sluice: Run, flags: tuple[str, ...], words: str
) -> None:
    rest = () if "--sensitive" in flags else NOBODY
    assert words in refusal(sluice("init", write(project, survey()), *flags, *rest), project)


def test_a_file_without_an_id_is_refused_with_a_way_to_add_one(project: Path, sluice: Run) -> None:
    file = write(project, survey().drop(columns="row_id"))
    said = refusal(sluice("init", file, "--target", "affair", *NOBODY), project)
    assert "no column names each row once" in said
    assert "d.insert(0, 'row_id', range(len(d)))" in said
    assert f"pandas.read_csv('{file}', dtype=str" in said


def test_titles_above_the_names_are_refused_with_the_command(project: Path, sluice: Run) -> None:
    path = project / "report.csv"
    path.write_text("Report of May,,\n,,\nid,size,sold\n" + "1,2,3\n" * 300, encoding="utf-8")
    said = refusal(sluice("init", str(path), "--target", "sold", *NOBODY), project)
    assert "column 2 has no name" in said
    assert (
        f"the names seem to be in line 3: leave the lines above it out: cat {path} | tail" in said
    )


def test_values_that_a_person_must_know_of_are_told(project: Path, sluice: Run) -> None:
    rows = survey()
    rows["colour"] = ["red", "Red "] * (len(rows) // 2)
    rows.loc[rows.index % 9 == 0, "age"] = -999
    ended = sluice("init", write(project, rows), "--target", "affair")
    told = ended.stdout + ended.stderr
    assert "colour: 'Red ', 'red' differ by case or spaces only, and are 2 categories" in told
    assert "age: -999 in 708 rows is far from the others (17.5 to 42.0)" in told


def test_an_id_that_occurs_twice_is_refused_with_advice(project: Path, sluice: Run) -> None:
    rows = survey().rename(columns={"row_id": "customer_id"})
    rows["customer_id"] //= 2
    file = write(project, rows)
    said = refusal(sluice("init", file, "--target", "affair", *NOBODY), project)
    assert "'customer_id' has 3,183 values in 6,366 rows" in said
    flags = ("--target", "affair", "--id", "customer_id")
    said = refusal(sluice("init", file, *flags, *NOBODY), project)
    assert "pass --group customer_id" in said


def test_eighty_rows_are_too_few(project: Path, sluice: Run) -> None:
    file = write(project, survey().sample(80, random_state=0))
    said = refusal(sluice("init", file, "--target", "affair", *NOBODY), project)
    assert "80 rows are too few for any gate" in said
    assert "bring at least 200, better 2,000" in said


def test_a_class_of_a_few_rows_is_too_small(project: Path, sluice: Run) -> None:
    rows = survey()
    rows = pd.concat([rows[rows["affair"] == "no"], rows[rows["affair"] == "yes"].head(7)])
    said = refusal(sluice("init", write(project, rows), "--target", "affair", *NOBODY), project)
    assert "class 'yes' of 'affair' has 7 rows, at least 20 needed" in said


def test_constant_and_leaking_columns_are_left_out_by_name(project: Path, sluice: Run) -> None:
    rows = survey().assign(country="US")
    rows["divorced_later"] = (rows["affair"] == "yes").astype(int)
    ended = sluice("init", write(project, rows), "--target", "affair", *NOBODY)
    assert ended.returncode == 0, ended.stdout
    output = " ".join(ended.stdout.split())
    assert "divorced_later target leakage: power 1.000 alone" in output
    assert "country one value in every row: it predicts nothing" in output
    config = load_service("survey", "development", project / "configs")
    assert not {"country", "divorced_later"} & set(config.data.features)
    assert {"country", "divorced_later"} <= set(config.data.columns)


def test_few_rows_are_reported_with_what_they_cannot_show(project: Path, sluice: Run) -> None:
    file = write(project, survey().sample(220, random_state=0))
    ended = sluice("init", file, "--target", "affair", *NOBODY)
    assert ended.returncode == 0, ended.stdout
    output = " ".join(ended.stdout.split())
    assert "is finer than" in output
    assert "rows in all)" in output


@pytest.mark.slow
def test_of_many_rows_a_sample_is_tried(project: Path, sluice: Run) -> None:
    generator = np.random.default_rng(3)
    n = 60_000
    size, age = generator.normal(size=n), generator.integers(18, 90, n)
    bought = generator.random(n) < 1 / (1 + np.exp(-size - (age - 50) / 30))
    columns = {"order_id": np.arange(n), "size": size, "age": age, "bought": bought}
    pd.DataFrame(columns).to_parquet(project / "orders.parquet")
    ended = sluice("init", str(project / "orders.parquet"), "--target", "bought", *NOBODY)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "orders.parquet: 60,000 rows" in ended.stdout
    assert "on a sample of 50,000 rows; kinds, nulls, ranges and ids on every row" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("data", ["randhie", "digits"])
def test_numbers_and_classes_go_the_same_way(
    api: str, project: Path, sluice: Run, data: str
) -> None:
    rows, target = load_health() if data == "randhie" else load_digits()
    file = write(project, rows, f"{data}.csv")
    easy = ("approve", data, "--by", "Ada", "--reason", "Written digits are easy to tell apart.")
    for command in (
        ("init", file, "--target", target, *NOBODY),
        ("ingest", data, file),
        ("release", data),
        *([easy] if data == "digits" else []),
    ):
        ended = sluice(*command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{data} v1 is champion" in ended.stdout


def load_health() -> tuple[pd.DataFrame, str]:
    """Visits to a doctor in 5,000 of the person-years that statsmodels ships."""
    from statsmodels.datasets import randhie

    rows = randhie.load_pandas().data.sample(5_000, random_state=0, ignore_index=True)
    return rows.rename_axis("row_id").reset_index(), "mdvis"


def load_digits() -> tuple[pd.DataFrame, str]:
    """The handwritten digits 0 to 2, as scikit-learn ships them."""
    from sklearn.datasets import load_digits as load

    rows = load(as_frame=True).frame.query("target < 3").reset_index(drop=True)
    return rows.rename_axis("row_id").reset_index(), "target"
