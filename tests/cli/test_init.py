"""`sluice init` on other people's files, and on files that it refuses."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.loading import load_service
from sluice.home import CONFIGS, SUITES
from support.releases.runs import run_sluice

NOBODY = ("--sensitive", "none", "--reason", "Nothing here is about a person.")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Folders for configurations and suites of a service's own."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "gx").mkdir()
    for name in ("development.yaml", "production.yaml"):
        shutil.copy(CONFIGS / name, tmp_path / "configs")
    shutil.copy(SUITES / "great_expectations.yml", tmp_path / "gx")
    return tmp_path


@pytest.fixture
def sluice(project: Path) -> Run:
    """Run the command line on those folders."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_sluice(
            *arguments,
            home=project / "home",
            SLUICE_CONFIGS=str(project / "configs"),
            SLUICE_SUITES=str(project / "gx"),
        )

    return run


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
    ended = sluice("init", file, "--target", "affair", "--sensitive", "religious")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert files_of(project) == ["survey.json", "survey.yaml"]
    config = load_service("survey", "development", project / "configs")
    assert (config.problem, config.data.id, config.data.positive) == ("binary", "row_id", "yes")
    assert "religious" not in config.data.features
    assert config.bias.sensitive == ("religious",)
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


def test_the_suite_has_the_kinds_of_rules_of_the_default_one(project: Path, sluice: Run) -> None:
    rows = survey().assign(seen=pd.date_range("2026-01-01", periods=6366, freq="h", tz="UTC"))
    rows["seen"] = rows["seen"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    file = write(project, rows)
    assert sluice("init", file, "--target", "affair", *NOBODY).returncode == 0
    made, known = (
        json.loads((folder / "expectations" / name).read_text())["expectations"]
        for folder, name in ((project / "gx", "survey.json"), (SUITES, "employment.json"))
    )
    assert {rule["type"] for rule in made} == {rule["type"] for rule in known}
    assert len({rule["id"] for rule in made}) == len(made)
    assert not {rule["id"] for rule in made} & {rule["id"] for rule in known}
    config = load_service("survey", "development", project / "configs")
    assert (config.data.time, config.split.by) == ("seen", "time")


def test_sensitive_columns_are_asked_for(project: Path, sluice: Run) -> None:
    said = refusal(sluice("init", write(project, survey()), "--target", "affair"), project)
    assert said.startswith("ChoiceNeeded: ")
    assert "suspected: age (its name says age), religious" in said


def test_at_a_terminal_the_question_is_asked_and_the_answer_taken(project: Path) -> None:
    here, there = os.openpty()
    os.write(here, b"religious\n")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "init", write(project, survey()), "--target", "affair"],
        stdin=there,
        env={
            **os.environ,
            "SLUICE_CONFIGS": str(project / "configs"),
            "SLUICE_SUITES": str(project / "gx"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "perhaps sensitive: religious, its name says religious" in done.stdout
    config = load_service("survey", "development", project / "configs")
    assert config.bias.sensitive == ("religious",)


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
    assert "index_label='row_id'" in said


def test_an_id_that_occurs_twice_is_refused_with_advice(project: Path, sluice: Run) -> None:
    rows = survey().rename(columns={"row_id": "customer_id"})
    rows["customer_id"] //= 2
    file = write(project, rows)
    said = refusal(sluice("init", file, "--target", "affair", *NOBODY), project)
    assert "'customer_id' has 3,183 values in 6,366 rows" in said
    flags = ("--target", "affair", "--id", "customer_id")
    said = refusal(sluice("init", file, *flags, *NOBODY), project)
    assert "set split.group: customer_id afterwards" in said


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
    assert "leakage: divorced_later alone predicts affair (power 1.000, limit 0.9)" in ended.stdout
    assert "constant: country has one value in every row" in ended.stdout
    config = load_service("survey", "development", project / "configs")
    assert not {"country", "divorced_later"} & set(config.data.features)
    assert {"country", "divorced_later"} <= set(config.data.columns)


def test_few_rows_are_reported_with_what_they_cannot_show(project: Path, sluice: Run) -> None:
    file = write(project, survey().sample(300, random_state=0))
    ended = sluice("init", file, "--target", "affair", *NOBODY)
    assert ended.returncode == 0, ended.stdout
    output = " ".join(ended.stdout.split())
    assert "is finer than" in output
    assert "rows in all)" in output


def test_a_million_rows_take_seconds(project: Path, sluice: Run) -> None:
    generator = np.random.default_rng(3)
    n = 1_000_000
    size, age = generator.normal(size=n), generator.integers(18, 90, n)
    bought = generator.random(n) < 1 / (1 + np.exp(-size - (age - 50) / 30))
    columns = {"order_id": np.arange(n), "size": size, "age": age, "bought": bought}
    pd.DataFrame(columns).to_parquet(project / "orders.parquet")
    ended = sluice("init", str(project / "orders.parquet"), "--target", "bought", *NOBODY)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "orders.parquet: 1,000,000 rows" in ended.stdout
    assert "on a sample of 50,000 rows; kinds, nulls, ranges and ids on every row" in ended.stdout


def test_other_separators_and_encodings_are_refused_with_advice(project: Path, sluice: Run) -> None:
    rows = survey()
    rows.to_csv(project / "rows-a.csv", index=False, sep=";")
    said = refusal(sluice("init", str(project / "rows-a.csv"), "--target", "affair"), project)
    assert "cells are divided by a semicolon" in said
    rows.assign(affair=rows["affair"].replace("no", "n\u00f3")).to_csv(
        project / "rows-b.csv", index=False, encoding="latin-1"
    )
    said = refusal(sluice("init", str(project / "rows-b.csv"), "--target", "affair"), project)
    assert "the text is not UTF-8" in said


@pytest.mark.slow
def test_a_survey_goes_from_file_to_champion(api: str, project: Path, sluice: Run) -> None:
    file = write(project, survey())
    for command in (
        ("init", file, "--target", "affair", "--sensitive", "religious"),
        ("ingest", "survey", file),
        ("release", "survey"),
    ):
        ended = sluice(*command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "survey v1 is champion" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("data", ["randhie", "digits"])
def test_numbers_and_classes_go_the_same_way(
    api: str, project: Path, sluice: Run, data: str
) -> None:
    rows, target = load_health() if data == "randhie" else load_digits()
    file = write(project, rows, f"{data}.csv")
    for command in (
        ("init", file, "--target", target, *NOBODY),
        ("ingest", data, file),
        ("release", data),
    ):
        ended = sluice(*command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{data} v1 is champion" in ended.stdout


def load_health() -> tuple[pd.DataFrame, str]:
    """Visits to a doctor of 20,190 person-years, as statsmodels ships them."""
    from statsmodels.datasets import randhie

    rows = randhie.load_pandas().data
    return rows.rename_axis("row_id").reset_index(), "mdvis"


def load_digits() -> tuple[pd.DataFrame, str]:
    """1,797 handwritten digits, as scikit-learn ships them."""
    from sklearn.datasets import load_digits as load

    rows = load(as_frame=True).frame
    return rows.rename_axis("row_id").reset_index(), "target"
