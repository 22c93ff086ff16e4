"""A batch prediction of a million rows: CPU seconds, and memory beside that of a fifth of them.

`python -m benchmarks.score [--rows 1000000]`; a gradient boosting of the service `employment`,
registered in a new state folder, and survey rows repeated under new ids. Each size is scored by a
process of its own, by the tasks of the flow `score_batch` without a server.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.results import Row, report

SERVICE = "employment"
GROUP_ROWS = 65_536
"""Rows of a row group of the input."""
SHARE = 5
"""The small input has a fifth of the rows."""
CPU_SECONDS, GROWTH = 60.0, 1.1
"""Targets: processor time of the large input, and its memory over that of the small one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--score", nargs=2, metavar=("INPUT", "OUTPUT"), help="score one input")
    arguments = parser.parse_args()
    if arguments.score:
        score(*arguments.score)
        return
    large, small = arguments.rows, arguments.rows // SHARE
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["SLUICE_HOME"] = str(root / "state")
        (root / "state").mkdir()
        for name in ("SLUICE_SCALE", "PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
            os.environ.pop(name, None)
        register()
        for size in (small, large):
            write_input(root / f"{size}.parquet", size)
        found = {size: measure(root, size) for size in (small, large)}
        again = measure(root, large)
        check_output(root / "out", small + large)
    cost = (found[large]["cpu"] - found[small]["cpu"]) / (large - small)
    growth = found[large]["memory"] / found[small]["memory"]
    rows = [
        Row(f"{large:,} rows: CPU", found[large]["cpu"], "s", CPU_SECONDS),
        Row(f"{large:,} rows: elapsed", found[large]["elapsed"], "s"),
        Row(f"{large:,} rows: largest memory", found[large]["memory"], "GB"),
        Row(f"{small:,} rows: CPU", found[small]["cpu"], "s"),
        Row(f"{small:,} rows: largest memory", found[small]["memory"], "GB"),
        Row("memory, large over small", growth, "times", GROWTH),
        Row("CPU of one more row", 1e6 * cost, "us"),
        Row("the same input again: CPU", again["cpu"], "s"),
    ]
    report("score", rows, {"features": 13, "rows of a row group": GROUP_ROWS})


def register() -> None:
    """Fit the service's model on a survey year and register it as a release does."""
    import pandas as pd

    from sluice.adapters.registry.client import open_registry
    from sluice.adapters.registry.model_files import save_export
    from sluice.config.loading import dump_service, load_service
    from sluice.control.admission import GATES, VERDICT
    from sluice.home import find_home
    from sluice.models.cross_validation import fit_configured
    from sluice.models.export.form import FORM
    from sluice.models.export.onnx_export import (
        SAMPLE_FILE,
        build_onnx_export,
        choose_rows,
        make_sample,
    )
    from sluice.models.prediction import predict

    config, home = load_service(SERVICE, "development"), find_home()
    frame = pd.read_parquet(find_survey(2015))
    pipeline = fit_configured(config, frame, progress=lambda _: None)
    save_export(build_onnx_export(pipeline, config.data), home.root / "export")
    registry = open_registry(home)
    registry.prepare()
    run = registry.start_run(SERVICE, "a release", {})
    registry.log_text(run, "config.yaml", dump_service(config))
    rows = choose_rows(frame)
    answers = predict(pipeline, rows, config.data, config.problem)
    registry.register_model(
        run,
        SERVICE,
        pipeline,
        rows[list(config.data.features)].head(3),
        answers.labels[:3],
        {**{f"{VERDICT}{gate}": "pass" for gate in GATES}, FORM: "onnx"},
        serving=home.root / "export",
        texts={SAMPLE_FILE: make_sample(rows, answers, config.data).to_json()},
    )


def find_survey(year: int) -> Path:
    """Return the file of a survey year."""
    from sluice.home import SAMPLES

    return SAMPLES / f"acs_employment_{year}.parquet"


def write_input(file: Path, rows: int) -> None:
    """Write so many survey rows under new ids, in row groups, without holding all of them."""
    import pyarrow as pa
    from pyarrow import parquet

    survey: Any = parquet.read_table(find_survey(2017))
    place, writer = survey.schema.get_field_index("person_id"), None
    for first in range(0, rows, GROUP_ROWS):
        ids = range(first, min(first + GROUP_ROWS, rows))
        part = survey.take(pa.array([number % survey.num_rows for number in ids]))
        part = part.set_column(place, "person_id", pa.array(ids, pa.int64()))
        writer = writer or parquet.ParquetWriter(file, part.schema)
        writer.write_table(part, row_group_size=GROUP_ROWS)
    assert writer is not None
    writer.close()


def measure(root: Path, size: int) -> dict[str, float]:
    """Score an input in a process; return CPU seconds, gigabytes at most, elapsed seconds."""
    places = (str(root / f"{size}.parquet"), str(root / "out"))
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.score", "--score", *places])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, size
    elapsed, unit = time.perf_counter() - started, 1e9 if sys.platform == "darwin" else 1e6
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / unit
    print(f"{size:,} rows: {cpu:.1f} s of CPU, {memory:.2f} GB, {elapsed:.1f} s", flush=True)
    return {"cpu": cpu, "memory": memory, "elapsed": elapsed}


def score(source: str, output: str) -> None:
    """Score an input as the flow does, without a server."""
    from prefect.logging import disable_run_logger

    from sluice.config.loading import load_service
    from tasks.scoring.job import ScoringRequest, open_job
    from tasks.scoring.parts import score_part

    with disable_run_logger():
        job = open_job.fn(load_service(SERVICE, "development"), ScoringRequest(source, output))
        for part in job.parts:
            score_part.fn(part)


def check_output(table: Path, rows: int) -> None:
    """Check that every row of both inputs is in the output once."""
    from deltalake import DeltaTable

    found = DeltaTable(str(table)).to_pyarrow_table(columns=["person_id", "scored_at"])
    distinct = found.group_by(["person_id", "scored_at"]).aggregate([])
    assert found.num_rows == distinct.num_rows == rows, (found.num_rows, distinct.num_rows, rows)


if __name__ == "__main__":
    main()
