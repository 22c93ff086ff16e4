"""Runs of a service's expectation suite with Great Expectations, and their data-docs page.

Every call uses its own context, a copy of `gx/` in the state folder, and holds one lock: a context
that threads share may validate the rows of another thread.
"""

import os
import re
import shutil
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import explain_os_error
from sluice.adapters.validation.rules import gather_bad_rows, read_result
from sluice.config.service import ServiceConfig
from sluice.data.arrival import Arrival, mark_new_rows
from sluice.data.distribution import has_nulls
from sluice.data.leakage import measure_leakage
from sluice.data.version import hash_content
from sluice.documents import DocumentInvalid, read_json
from sluice.errors import ConfigInvalid
from sluice.gates.data import DataEvidence
from sluice.home import SUITES, find_home

DISTRIBUTION = "expect_column_distribution_to_match_previous"
TESTS = "distribution_tests"
LOCK = threading.Lock()
REMOTE = re.compile(
    r"url\('https?:[^']*'\)|<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>"
    r"|<nav\b.*?</nav>|<footer\b.*?</footer>",
    re.DOTALL | re.IGNORECASE,
)
STYLE = """<style>
body { font: 14px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1.5rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; }
.badge { background: #eef; border-radius: .3rem; padding: 0 .3rem; }
.fa-check-circle::before { color: #177a34; content: "pass"; }
.fa-times::before { color: #b3261e; content: "fail"; }
.fa-exclamation-triangle::before { color: #b3261e; content: "error"; }
.fas { font-style: normal; }
.modal, .ge-navbar, .sticky, .collapse, button, a[data-toggle=collapse] { display: none; }
a { color: inherit; text-decoration: none; }
</style>"""


def write_page(result: Any, run_name: str, path: Path) -> None:
    """Render a validation result as HTML and write it to `path`, whole or not at all."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    result.meta["run_id"] = RunIdentifier(run_name=run_name)
    document = ValidationResultsPageRenderer().render(result)
    page = REMOTE.sub("", DefaultJinjaPageView().render(document))
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".incoming")
    staging.write_text(page.replace("</head>", f"{STYLE}</head>", 1), encoding="utf-8")
    staging.replace(path)


def measure_data(
    config: ServiceConfig,
    table: pa.Table,
    baseline: pa.Table | None,
    run_name: str,
    folder: Path = SUITES,
) -> DataEvidence:
    """Run the suite and measure target leakage, and write the data-docs page.

    Distributions, volume and freshness are measured on the rows whose ids `baseline` (the version
    to compare with) does not have; everything else on the whole table.

    Raises:
        ConfigInvalid: the suite is missing or cannot be read.
        StorageFull: the disk is full.
        DataUnavailable: the state folder cannot be reached.
    """
    data = config.data
    path = check_suite(folder, data.suite)
    arrival = mark_new_rows(table, baseline, data.id)
    docs = find_home().data_docs
    try:
        docs.mkdir(parents=True, exist_ok=True)
        with LOCK, _copy_context(folder, data.suite, docs) as root:
            context, suite = _open_suite(root, path)
            result = _validate(context, suite, arrival, data.id)
            page = docs / config.service / f"{run_name}-{hash_content(table)[:12]}.html"
            write_page(result, run_name, page)
    except OSError as error:
        raise explain_os_error(error, f"data docs {docs}") from error
    found = {item.expectation_config.id: item for item in result.results}
    rules = tuple(read_result(rule, found.get(rule.id), data.id) for rule in suite.expectations)
    return DataEvidence(
        suite=data.suite,
        rows=table.num_rows,
        known_rows=arrival.known_rows,
        new_rows=len(arrival.fresh),
        previous_rows=len(arrival.previous) if arrival.previous is not None else None,
        repeated=arrival.repeated,
        rules=rules,
        leakage=measure_leakage(
            arrival.frame, arrival.new, data.features, data.target, config.problem
        ),
        bad_rows=gather_bad_rows(suite.expectations, found, arrival, data.id),
        page=page,
    )


def check_suite(folder: Path, name: str) -> Path:
    """Return the path of the suite's file after a check.

    Raises:
        ConfigInvalid: it is missing, or not JSON with a list of expectations.
    """
    path = folder / "expectations" / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(item.stem for item in path.parent.glob("[!.]*.json"))) or "none"
        raise ConfigInvalid(f"{path}: no such expectation suite; there are: {known}")
    try:
        values = read_json(path)
    except DocumentInvalid as error:
        raise ConfigInvalid(f"{path}: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("expectations"), list):
        raise ConfigInvalid(f"{path}: expected an object with the list `expectations`")
    return path


@contextmanager
def _copy_context(folder: Path, suite: str, docs: Path) -> Iterator[Path]:
    """Yield a temporary copy of the committed context, which is removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix=".context-", dir=docs))
    try:
        (root / "expectations").mkdir()
        for name in ("great_expectations.yml", f"expectations/{suite}.json"):
            shutil.copyfile(folder / name, root / name)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _open_suite(root: Path, path: Path) -> tuple[Any, Any]:
    """Return the context and the suite; the library drops expectations that it does not know.

    Raises:
        ConfigInvalid: the file is no suite, or an expectation has an unknown type or argument.
    """
    great_expectations = _load_library()
    from great_expectations.exceptions import GreatExpectationsError

    import sluice.adapters.validation.custom_expectations  # noqa: F401 - registers ours

    try:
        context = great_expectations.get_context(mode="file", context_root_dir=root)
        suite = context.suites.get(path.stem)
    except (GreatExpectationsError, ValueError, TypeError, KeyError) as error:
        raise ConfigInvalid(f"{path}: not a suite: {error}") from error
    written = read_json(path)["expectations"]
    lost = Counter(_name_expectation(rule) for rule in written) - Counter(
        _name_expectation({"type": rule.expectation_type, "kwargs": rule.configuration.kwargs})
        for rule in suite.expectations
    )
    if lost:
        raise ConfigInvalid(f"{path}: unknown type or argument in: {', '.join(sorted(lost))}")
    return context, suite


def _name_expectation(rule: Any) -> str:
    values = rule if isinstance(rule, dict) else {}
    column = (values.get("kwargs") or {}).get("column")
    return f"{values.get('type')}" + (f" of {column}" if column else "")


def _validate(context: Any, suite: Any, arrival: Arrival, id_column: str) -> Any:
    """Return the suite's validation result; the arrival is in the frame's attributes."""
    from sluice.adapters.validation.custom_expectations import ARRIVAL

    frame = arrival.frame.copy(deep=False)
    frame.attrs[ARRIVAL] = arrival
    source = context.data_sources.add_pandas("frames")
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("table")
    return definition.get_batch({"dataframe": frame}).validate(
        suite,
        expectation_parameters={TESTS: _count_tests(suite, arrival)},
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": [id_column],
            "return_unexpected_index_query": False,
        },
    )


def _load_library() -> Any:
    """Import Great Expectations, silent and with its analytics turned off beforehand."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports a deprecated module
        import great_expectations
    return great_expectations


def _count_tests(suite: Any, arrival: Arrival) -> int:
    """Return how many tests share the error rate: distributions and null shares."""
    columns = [rule.column for rule in suite.expectations if rule.expectation_type == DISTRIBUTION]
    tests = len(columns)
    if arrival.previous is not None:
        known = [name for name in columns if name in arrival.frame]
        tests += sum(has_nulls(arrival.previous[name], arrival.fresh[name]) for name in known)
    return max(tests, 1)
