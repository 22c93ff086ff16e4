"""Runs of a service's expectation suite with Great Expectations, and their data-docs page.

Every call uses its own context, a copy of `gx/` in the state folder, and holds one lock: a context
that threads share may validate the rows of another thread.
"""

import json
import os
import re
import shutil
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import draft_file, explain_os_error
from sluice.adapters.validation.like_rules import (
    GROUP,
    group_rules,
    order_results,
    read_group,
)
from sluice.adapters.validation.rules import gather_bad_rows, read_result
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import (
    NOTHING_EARLIER,
    Arrival,
    EarlierBatches,
    extend_batch,
    mark_new_rows,
)
from sluice.data.batches.feed import WINDOW
from sluice.data.distribution import has_nulls
from sluice.data.leakage import FeaturePower, measure_leakage
from sluice.data.version import hash_content
from sluice.documents import DocumentInvalid, read_json
from sluice.errors import ConfigInvalid
from sluice.gates.data import LEAKAGE, DataEvidence
from sluice.home import SUITES, find_home

DISTRIBUTION = "expect_column_distribution_to_match_previous"
TESTS = "distribution_tests"
EXTENDED_ROWS = 20_000
"""Most rows of the table with which a batch is judged for target leakage."""
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

    result.meta["run_id"] = RunIdentifier(run_name=run_name)
    document = ValidationResultsPageRenderer().render(result)
    page = REMOTE.sub("", _open_view().render(document))
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft_file(path) as draft:
        draft.write_text(page.replace("</head>", f"{STYLE}</head>", 1), encoding="utf-8")


@cache
def _open_view() -> Any:
    """Return the one view of this process: each would compile the templates of a page anew."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


def measure_data(
    config: ServiceConfig,
    table: pa.Table,
    baseline: pa.Table | None,
    run_name: str,
    folder: Path = SUITES,
    earlier: EarlierBatches = NOTHING_EARLIER,
) -> DataEvidence:
    """Run the suite and measure target leakage, and write the data-docs page.

    Distributions and volume are measured on the rows whose ids `baseline` (the version to compare
    with) does not have; everything else on the whole table.

    Target leakage of a batch that is to be appended to `baseline` (`earlier` has sizes) is measured
    with the table's rows.

    Raises:
        ConfigInvalid: the suite is missing or cannot be read.
        StorageFull: the disk is full.
        DataUnavailable: the state folder cannot be reached.
    """
    data = config.data
    path = check_suite(folder, data.suite)
    arrival = mark_new_rows(table, baseline, data.id, earlier)
    docs = find_home().data_docs
    try:
        docs.mkdir(parents=True, exist_ok=True)
        written = read_json(path)["expectations"]
        evaluated = group_rules(written, arrival.frame, data.id)
        with LOCK, _copy_context(folder, data.suite, docs, evaluated) as root:
            context, suite = _open_suite(root, path, evaluated)
            tests = _count_tests(written, arrival)
            result = _validate(context, suite, arrival, data.id, tests)
            page = docs / config.service / f"{run_name}-{hash_content(table)[:12]}.html"
            write_page(result, run_name, page)
    except OSError as error:
        raise explain_os_error(error, f"data docs {docs}") from error
    pairs = _pair_results(suite, result, written)
    rules = tuple(
        read_result(rule, found, data.id, number, arrival)
        for number, (rule, found) in enumerate(pairs, 1)
    )
    return DataEvidence(
        suite=data.suite,
        rows=table.num_rows,
        known_rows=arrival.known_rows,
        new_rows=len(arrival.fresh),
        previous_rows=len(arrival.previous) if arrival.previous is not None else None,
        repeated=arrival.repeated,
        rules=rules,
        leakage=_measure_leakage(config, arrival, table, baseline),
        bad_rows=gather_bad_rows(pairs, rules, arrival, data.id),
        page=page,
        is_increment=arrival.is_increment,
        service=config.service,
    )


def _measure_leakage(
    config: ServiceConfig, arrival: Arrival, table: pa.Table, baseline: pa.Table | None
) -> tuple[FeaturePower, ...]:
    """Measure each feature on its rows, without those that a person accepted for it."""
    data, accepted = config.data, arrival.earlier.exceptions
    frame, new = extend_batch(arrival, table, baseline, EXTENDED_ROWS)
    plain = tuple(name for name in data.features if f"{LEAKAGE}{name}" not in accepted.rows)
    found = measure_leakage(frame, new, plain, data.target, config.problem)
    for name in data.features:
        if name not in plain:
            kept = accepted.leave_out(f"{LEAKAGE}{name}", frame, data.id)
            rows = new[kept.index]
            found += measure_leakage(kept, rows, (name,), data.target, config.problem)
    return found


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
def _copy_context(
    folder: Path, suite: str, docs: Path, rules: list[dict[str, Any]]
) -> Iterator[Path]:
    """Yield a temporary copy of the committed context, which is removed afterwards.

    The copy's suite has these rules, and all else of the file.
    """
    root = Path(tempfile.mkdtemp(prefix=".context-", dir=docs))
    try:
        (root / "expectations").mkdir()
        shutil.copyfile(folder / "great_expectations.yml", root / "great_expectations.yml")
        name = f"expectations/{suite}.json"
        values = {**read_json(folder / name), "expectations": rules}
        (root / name).write_text(json.dumps(values), encoding="utf-8")
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _open_suite(root: Path, path: Path, rules: list[dict[str, Any]]) -> tuple[Any, Any]:
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
    lost = Counter(_name_expectation(rule) for rule in rules) - Counter(
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


def _pair_results(suite: Any, result: Any, written: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Return each rule of the suite's file with its result, None where there is none."""
    found = {item.expectation_config.id: item for item in result.results}
    pairs: list[tuple[Any, Any]] = []
    for rule in suite.expectations:
        if rule.expectation_type == GROUP:
            pairs += read_group(rule.configuration.kwargs, found.get(rule.id))
        else:
            pairs.append((rule, found.get(rule.id)))
    return order_results(pairs, written)


def _validate(context: Any, suite: Any, arrival: Arrival, id_column: str, tests: int) -> Any:
    """Return the suite's validation result; the arrival is in the frame's attributes."""
    from sluice.adapters.validation.custom_expectations import ARRIVAL

    frame = arrival.frame.copy(deep=False)
    frame.attrs[ARRIVAL] = arrival
    source = context.data_sources.add_pandas("frames")
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("table")
    return definition.get_batch({"dataframe": frame}).validate(
        suite,
        expectation_parameters={TESTS: tests},
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


def _count_tests(rules: list[dict[str, Any]], arrival: Arrival) -> int:
    """Return how many tests share the error rate: distributions and null shares.

    A feed is compared batch by batch: the batches of a window share the error rate as well, or an
    honest feed would be halted once in a hundred batches.
    """
    columns = [rule["kwargs"].get("column") for rule in rules if rule["type"] == DISTRIBUTION]
    tests = len(columns)
    if arrival.previous is not None:
        known = [name for name in columns if name in arrival.frame]
        tests += sum(has_nulls(arrival.take_previous(name), arrival.fresh[name]) for name in known)
    batches = len(arrival.earlier.sizes or ())
    return max(tests, 1) * min(max(batches, 1), WINDOW)
