"""Public data sets from `sluice init` to a served model, beside a plain gradient boosting.

`python -m benchmarks.own_data [--only NAME]`; each data set in a state folder of its own, one after
another, beside one Prefect server. A finished data set is kept, so that a broken run continues;
`--finished` reports those, and runs nothing. `--table` writes the page of the documentation anew
from the figures.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.results import FOLDER, report
from benchmarks.own_data.catalog import PublicData, read_catalog
from benchmarks.own_data.commands import Place, travel, write_file
from benchmarks.own_data.summary import list_rows
from benchmarks.own_data.table import write_page
from cli.output import say
from sluice.home import Home, find_home

NAME = "own_data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="again for more"
    )
    parser.add_argument("--table", action="store_true", help="write the page of the documentation")
    parser.add_argument("--finished", action="store_true", help="report what a broken run finished")
    options = parser.parse_args()
    if options.table:
        say(f"written {write_page()}")
        return
    catalog = read_catalog()
    known = {data.name for data in catalog}
    if unknown := sorted(set(options.only) - known):
        raise SystemExit(f"--only: no data set {unknown[0]}; allowed: {', '.join(sorted(known))}")
    chosen = [data for data in catalog if data.name in options.only or not options.only]
    root = find_home().root / "own-data"
    found = read_kept(root, catalog) if not options.only else {}
    if not options.finished:
        play_all([data for data in chosen if data.name not in found], root, found)
    found = {**(read_results() if options.only else {}), **found}
    catalog = tuple(data for data in catalog if data.name in found)
    rows = list_rows(found, catalog)
    report(NAME, rows, {"data sets": {data.name: found[data.name] for data in catalog}})
    if not (options.only or options.finished):
        shutil.rmtree(root)
    sys.exit(any(row.met is False for row in rows))


def play_all(chosen: list[PublicData], root: Path, found: dict[str, dict[str, Any]]) -> None:
    """Take data sets through all of it, one after another; `found` takes what became of each."""
    with share_server(root):
        for data in chosen:
            found[data.name] = play(data, root)


@contextmanager
def share_server(root: Path) -> Iterator[None]:
    """Run one Prefect server for the commands of all data sets, and name it to them."""
    from sluice.adapters.server.home_server import run_server, server_environment

    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "SLUICE_CONTROL_URL"):
        os.environ.pop(name, None)
    home = Home(root / "server")
    os.environ["SLUICE_HOME"] = str(home.root)
    with run_server(home, report=say) as api:
        os.environ.update({**server_environment(home), "PREFECT_API_URL": api})
        yield


def play(data: PublicData, root: Path) -> dict[str, Any]:
    """Take one data set through all of it; keep and return what was found."""
    say(f"### {data.name}")
    place = Place(root / "places" / data.name)
    place.prepare()
    file, counts = write_file(data, place.root)
    journey = travel(data, place, file)
    facts: dict[str, Any] = {"title": data.title, "package": data.package, **counts}
    facts |= journey.describe()
    if (place.root / "state" / "data").exists():
        facts |= place.run_module("comparison", data.name)
        left_out = [name for name in facts["columns"] if name not in facts["features"]]
        undeclared = data.find_undeclared(tuple(facts["columns"]), tuple(facts["features"]))
        facts |= {"left_out": left_out, "undeclared": undeclared}
    facts["served"] = (
        place.run_module("served", data.name) if facts["outcome"] == "champion" else {}
    )
    say(json.dumps(facts))
    (root / f"{data.name}.json").write_text(json.dumps(facts))
    return facts


def read_kept(root: Path, catalog: tuple[PublicData, ...]) -> dict[str, dict[str, Any]]:
    """Return what a broken run has finished."""
    files = {data.name: root / f"{data.name}.json" for data in catalog}
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    if found:
        say(f"finished earlier: {', '.join(found)}")
    return found


def read_results() -> dict[str, Any]:
    """Return the data sets of the committed results."""
    file = FOLDER / f"{NAME}.json"
    if not file.exists():
        return {}
    found: dict[str, Any] = json.loads(file.read_text())["notes"]["data sets"]
    return found


if __name__ == "__main__":
    main()
