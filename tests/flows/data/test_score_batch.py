"""Batch prediction through the real flow: each row once, as the gateway answers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import parquet

from sluice.home import Home
from support.gateway.site import Site, run_gateway
from support.pace import slowed
from support.releases.runs import artifacts_of
from support.releases.scoring import (
    FEATURES,
    SERVICE,
    make_input,
    prepare_service,
    read_output,
    run_scoring,
    write_input,
)
from support.servers.objects import run_object_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A state folder with two versions of the small model, which a gateway can serve too."""
    with pytest.MonkeyPatch.context() as patch:
        site = Site(tmp_path_factory.mktemp("scoring"))
        patch.setenv("SLUICE_HOME", str(site.home.root))
        patch.delenv("SLUICE_SCALE", raising=False)
        towns, _ = prepare_service(site.home, site.home.root.parent / "files", 2)
        site.serve(SERVICE, towns.folder)
        yield site


@pytest.fixture
def home(site: Site) -> Home:
    return site.home


def test_every_row_gets_the_answer_of_the_gateway(site: Site, tmp_path: Path) -> None:
    rows = write_input(tmp_path / "in.parquet", 3_000)
    state = run_scoring(tmp_path / "in.parquet", tmp_path / "out")
    assert state.is_completed(), state.message
    found = read_output(tmp_path / "out")
    assert found["id"].tolist() == rows["id"].tolist()
    assert set(found["version"]) == {1}
    assert found["scored_at"].nunique() == 1
    sample = rows[list(FEATURES)].head(500).astype(object)
    sample = sample.where(sample.notna(), None)
    with run_gateway(site) as gateway:
        gateway.await_champion(SERVICE)
        outputs = gateway.predict(sample.to_dict("records"), SERVICE).json["outputs"]
    assert [item["prediction"] for item in outputs] == found["prediction"].head(500).tolist()
    assert [item["probabilities"] for item in outputs] == (
        found["probabilities"].head(500).tolist()
    )
    page = artifacts_of(state)[f"{SERVICE}-scores"].data
    assert "| rows scored | 3,000 |" in page


def test_the_same_input_again_adds_nothing_and_another_version_adds_its_own(
    home: Home, tmp_path: Path
) -> None:
    write_input(tmp_path / "in.parquet", 1_000)
    first = run_scoring(tmp_path / "in.parquet", tmp_path / "out").result()
    again = run_scoring(tmp_path / "in.parquet", tmp_path / "out").result()
    assert (first["scored"], first["before"]) == (1_000, 0)
    assert (again["scored"], again["before"]) == (1_000, 1_000)
    other = run_scoring(tmp_path / "in.parquet", tmp_path / "out", version=2)
    assert other.result()["version"] == 2
    assert read_output(tmp_path / "out")["version"].value_counts().to_dict() == {1: 1_000, 2: 1_000}


def test_a_delta_table_is_scored_with_all_of_its_columns(home: Home, tmp_path: Path) -> None:
    rows = make_input(2_000)
    for part in (rows.head(1_200), rows.tail(800)):
        table = pa.Table.from_pandas(part, preserve_index=False)
        write_deltalake(str(tmp_path / "in"), table, mode="append")
    state = run_scoring(tmp_path / "in", tmp_path / "out", keep="all", alias="candidate")
    assert state.is_completed(), state.message
    found = read_output(tmp_path / "out")
    assert set(found["version"]) == {2}
    assert list(found.columns[:4]) == ["id", "size", "town", "here"]
    pd.testing.assert_series_equal(found["size"], rows["size"])


def spoil(file: Path) -> None:
    """Write 1,000 rows of which three have an infinite number."""
    rows = make_input(1_000)
    rows.loc[[10, 500, 999], "size"] = np.inf
    parquet.write_table(pa.Table.from_pandas(rows, preserve_index=False), file)


def test_a_bad_row_is_refused_before_anything_is_written(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "in.parquet"
    spoil(file)
    state = run_scoring(file, tmp_path / "out")
    assert state.is_failed()
    assert f"{file}: row 11: column 'size': found inf, allowed: a finite number" in state.message
    assert "2 more rows do not fit; nothing was written" in state.message
    assert not (tmp_path / "out").exists()


def test_bad_rows_are_set_aside_with_their_reasons(home: Home, tmp_path: Path) -> None:
    spoil(tmp_path / "in.parquet")
    done = run_scoring(tmp_path / "in.parquet", tmp_path / "out", bad_rows="set-aside").result()
    assert (done["rows"], done["scored"], done["set_aside"]) == (1_000, 997, 3)
    aside = DeltaTable(str(tmp_path / "out-set-aside")).to_pyarrow_table().to_pylist()
    assert sorted(row["row"] for row in aside) == [11, 501, 1_000]
    assert {10, 500, 999}.isdisjoint(read_output(tmp_path / "out")["id"])
    again = run_scoring(tmp_path / "in.parquet", tmp_path / "out", bad_rows="set-aside").result()
    assert (again["scored"], again["set_aside"], again["before"]) == (997, 3, 1_000)


def test_several_processes_give_the_same_rows(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write_input(tmp_path / "in" / f"{number}.parquet", 700 + number, seed=number)
    alone = run_scoring(tmp_path / "in", tmp_path / "alone").result()
    monkeypatch.setenv("SLUICE_SCALE", "2")
    many = run_scoring(tmp_path / "in", tmp_path / "many").result()
    assert many["scored"] == alone["scored"] == 2_806
    first, second = (
        read_output(tmp_path / name).drop(columns="scored_at").astype(str)
        for name in ("alone", "many")
    )
    columns = list(first.columns)
    pd.testing.assert_frame_equal(
        first.sort_values(columns, ignore_index=True),
        second.sort_values(columns, ignore_index=True),
    )


def test_tables_in_an_object_store_are_read_and_written(home: Home, tmp_path: Path) -> None:
    rows = make_input(2_000)
    with run_object_store() as bucket:
        for part in (rows.head(1_200), rows.tail(800)):
            table = pa.Table.from_pandas(part, preserve_index=False)
            write_deltalake(f"{bucket}/in", table, mode="append")
        done = run_scoring(f"{bucket}/in", f"{bucket}/out").result()
        again = run_scoring(f"{bucket}/in", f"{bucket}/out").result()
        found = read_output(f"{bucket}/out")
        missing = run_scoring(f"{bucket}/none", f"{bucket}/out")
        spoilt = rows.assign(size=np.inf).head(5)
        write_deltalake(f"{bucket}/bad", pa.Table.from_pandas(spoilt, preserve_index=False))
        aside = run_scoring(f"{bucket}/bad", f"{bucket}/good", bad_rows="set-aside").result()
        assert DeltaTable(f"{bucket}/good-set-aside").to_pyarrow_table().num_rows == 5
    assert (done["scored"], again["scored"], again["before"]) == (2_000, 2_000, 2_000)
    assert found["id"].tolist() == rows["id"].tolist()
    assert (aside["scored"], aside["set_aside"]) == (0, 5)
    assert missing.is_failed()
    assert f"{bucket}/none" in missing.message


SCRIPT = """
import sys
from support.releases.scoring import run_scoring
sys.exit(0 if run_scoring(sys.argv[1], sys.argv[2]).is_completed() else 1)
"""


@pytest.mark.faults
def test_a_killed_run_is_continued_with_no_row_twice(home: Home, tmp_path: Path) -> None:
    rows, kills = 400_000, 0
    write_input(tmp_path / "in.parquet", rows, group=20_000)
    output = tmp_path / "out"
    began = time.monotonic()
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "in.parquet"), str(output)]
    for wanted in (2, 4):
        with subprocess.Popen(command, env=dict(os.environ)) as process:
            while count_commits(output) < wanted and process.poll() is None:
                assert time.monotonic() - began < slowed(240)
                time.sleep(0.005)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            process.wait()
    assert kills == 2
    between = DeltaTable(str(output)).to_pyarrow_table(columns=["id"]).num_rows
    assert 0 < between < rows
    done = run_scoring(tmp_path / "in.parquet", output).result()
    assert (done["scored"], done["before"] >= between) == (rows, True)
    found = DeltaTable(str(output)).to_pyarrow_table(columns=["id", "scored_at"]).to_pandas()
    assert sorted(found["id"]) == list(range(rows))
    assert found["scored_at"].nunique() == 1


def count_commits(output: Path) -> int:
    """Return the number of commits behind the one that made the table and the run's start."""
    return max(len(list((output / "_delta_log").glob("*.json"))) - 2, 0)
