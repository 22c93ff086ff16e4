"""One action of `benchmarks.drift.speed`, measured in its own process without its imports.

`python -m benchmarks.drift.speed_part build|read|stream|count ROWS PROFILE` prints CPU seconds
and MB.
"""

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import scipy.special  # noqa: F401 - its import is no part of the figures

from sluice.adapters.tables.columns import open_rows
from sluice.drift.columns import Watched, WatchedColumn
from sluice.drift.document import read_profile, write_profile
from sluice.drift.profile import Description, build_profile
from sluice.drift.rule import judge_drift


def main() -> None:
    action, rows, profile = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    began = time.process_time()
    {"build": build, "read": read, "stream": stream, "count": count}[action](rows, profile)
    cpu = time.process_time() - began
    print(json.dumps({"cpu": cpu, "memory": measure_memory()}))


def measure_memory() -> float:
    """Return the largest memory of this process so far, in MB.

    The kernel's `ru_maxrss` is no less than that of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def build(rows: Path, profile: Path) -> None:
    """Build the profile and write its document."""
    table = pq.read_table(rows)
    watched = tuple(
        WatchedColumn(
            name, name, "level" if pa.types.is_string(table.schema.field(name).type) else "number"
        )
        for name in table.column_names
    )
    built = build_profile(Description("bench", 0), Watched(watched, {}), {"feature": table})
    profile.write_text(write_profile(built), encoding="utf-8")


def read(rows: Path, profile: Path) -> None:
    """Read every column of the file, and do nothing with it."""
    texts = [field.name for field in pq.read_schema(rows) if pa.types.is_string(field.type)]
    assert pq.read_table(rows, read_dictionary=texts, use_threads=False).num_rows


def stream(rows: Path, profile: Path) -> None:
    """Read every column of each row group, as counting does, and do nothing with it."""
    for group in open_rows(rows):
        for name in group.names:
            assert len(group.read(name)) == group.count


def count(rows: Path, profile: Path) -> None:
    """Count the rows in the profile's bins, and judge them."""
    known = read_profile(profile.read_text(encoding="utf-8"))
    found = judge_drift(known, known.count_rows(open_rows(rows)))
    assert found["data"].outcome == "clean"


if __name__ == "__main__":
    main()
