"""Changes of a service's schema: the table and both of its files, or none of them.

The table changes first, by one commit, when the texts of both files are on the disk already. What
is killed between the commit and the files is completed by the same command: each of its steps
leaves what was done as it is.
"""

import difflib
import json
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.storage import PUBLIC, write_whole
from sluice.adapters.tables.delta import AUTHOR, read_changes
from sluice.adapters.tables.evolution import LockedTable, lock_table
from sluice.adapters.tables.files import ReadingNote, read_added
from sluice.adapters.validation.rules import name_rule
from sluice.adapters.validation.suite_file import build_expectation, dump_suite, read_suite
from sluice.config.data import ColumnKind
from sluice.config.loading import OVERLAYS, SUFFIX, load_service
from sluice.config.reading import PLAIN, ColumnReading
from sluice.config.reading_text import add_form
from sluice.config.service import ServiceConfig
from sluice.control.command import Author
from sluice.control.timeline import SCHEMA, TimelineEntry
from sluice.data.evolution import (
    SchemaChange,
    change_kinds,
    check_change,
    check_kind,
    type_change,
)
from sluice.data.time_functions import TimeFunction, find_time_functions
from sluice.data.version import DataVersion
from sluice.documents import parse_json, read_json
from sluice.errors import SchemaRefused
from sluice.home import CONFIGS, SUITES, environment_name, find_home
from sluice.metrics import check_metrics
from sluice.profile.editing import edit_configuration, edit_rules
from sluice.profile.facts.cells import Dates
from sluice.profile.facts.columns import ColumnFacts
from sluice.profile.rules import KIND, UNLIKE, DataRule, propose_column
from sluice.profile.trial.features import choose_encodings
from tasks.data.ingestion import REFUSED, VERSION
from tasks.data.schema import explain_difference

if TYPE_CHECKING:
    import pandas as pd

FORGOTTEN = "the schema has changed since"
"""Mark of a refused delivery that is read again."""


@dataclass(frozen=True)
class SchemaRequest:
    """What a person asks for: the change, and for a new column what it is used for.

    `facts` are those of the column in its first batch; None: only its kind is known. `follows`: it
    is a function of the time. `form` is how its cells are written, `nulls` are the words for an
    absent value, and `notes` is what a person must know of them.
    """

    change: SchemaChange
    feature: bool = False
    facts: ColumnFacts | None = None
    follows: TimeFunction | None = None
    median: float = 0.0
    form: ColumnReading = PLAIN
    nulls: tuple[str, ...] = ()
    encoding: str = ""
    """How a feature becomes numbers, where that is not as usual for its kind."""
    notes: tuple[ReadingNote, ...] = ()


@dataclass(frozen=True)
class SchemaPlan:
    """What a change will do: each file's new text, and whether the table changes too.

    `change` has the kind from before. `restores`: the table has the change already, and the files
    follow.
    """

    change: SchemaChange
    texts: Mapping[Path, str]
    changes_table: bool
    restores: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether table and files are as after the change."""
        return not self.texts and not self.changes_table

    def list_lines(self) -> list[str]:
        """Return the lines of the configuration that change, each with its sign."""
        lines = []
        for path, text in self.texts.items():
            if path.suffix == SUFFIX:
                before = path.read_text(encoding="utf-8").splitlines()
                found = difflib.unified_diff(before, text.splitlines(), n=0, lineterm="")
                lines += [line for line in found if not line.startswith(("---", "+++", "@@"))]
        return lines

    def list_rules(self) -> list[str]:
        """Return the rules that change, each with its sign."""
        lines = []
        for path, text in self.texts.items():
            if path.suffix != SUFFIX:
                before, after = (_index_rules(item) for item in (read_json(path), parse_json(text)))
                lines += [f"- {_name(rule)}" for key, rule in before.items() if key not in after]
                lines += [f"+ {_name(rule)}" for key, rule in after.items() if key not in before]
        return lines


def _index_rules(suite: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {json.dumps(rule, sort_keys=True): rule for rule in suite["expectations"]}


def _name(rule: dict[str, Any]) -> str:
    return name_rule(rule["type"], rule["kwargs"])


@dataclass(frozen=True)
class SchemaResult:
    """What a change did: the version of the table, None without data, and what is recorded."""

    data: DataVersion | None
    entry: TimelineEntry


def plan_schema(service: str, request: SchemaRequest) -> SchemaPlan:
    """Return what a change will do, and check that it can be done; nothing is written.

    Raises:
        SchemaRefused: the change is not allowed, or was made already.
        ConfigInvalid: a file of the service is not right.
        DataUnavailable: the table cannot be reached.
    """
    with lock_table(find_home().table(service), service) as table:
        return _plan(service, request, table)


def change_schema(service: str, request: SchemaRequest, author: Author) -> SchemaResult:
    """Change a service's schema: one version of the table, then its suite and configuration.

    Raises:
        SchemaRefused: the change is not allowed, or was made already.
        DataInvalid: a value of the table does not fit the wider kind.
        StorageFull: the disk is full.
        Fault: the table, a folder or the control store cannot be reached.
    """
    control, made = prepare_control(), list[DataVersion]()
    uri = find_home().table(service)
    with lock_table(uri, service) as table:
        plan = _plan(service, request, table)
        facts = {"source": "schema", AUTHOR: author.by, "reason": author.reason}

        def commit() -> None:
            if plan.changes_table:
                made.append(table.apply(plan.change, facts))

        write_whole(plan.texts, PUBLIC, commit)
    recorded = read_changes(uri)
    version = made[0].version if made else next((item.version for item in recorded[::-1]), None)
    entry = _record(control, service, plan, author, version)
    if version is not None:
        _settle(control, service, version)
    return SchemaResult(made[0] if made else None, entry)


def propose_request(
    config: ServiceConfig,
    change: SchemaChange,
    feature: bool,
    file: Path | None,
    dates: Dates = "",
) -> SchemaRequest:
    """Return a request whose rules come from the column's first batch, where a file is given.

    The file is read as the service's files are; `dates` says whether days or months come first.

    Raises:
        SchemaRefused: the file lacks the column, or there is no such kind.
        DataInvalid: the file cannot be read, or its cells do not fit the kind.
        ChoiceNeeded: dates can be read in two ways.
    """
    if change.action != "add" or file is None:
        return SchemaRequest(change, feature)
    check_kind(change)
    kind: ColumnKind | None = change.kind or None  # type: ignore[assignment]
    found = read_added(file, change.column, config.data, kind, dates)
    facts, frame = found.columns[0], found.table.to_pandas()
    time = config.data.time or ""
    follows = None
    if time in frame:
        follows = find_time_functions(frame, time, (change.column,)).get(change.column)
    median = float(frame[change.column].median()) if facts.numeric and facts.distinct else 0.0
    return SchemaRequest(
        change=replace(change, kind=facts.kind),
        feature=feature,
        facts=facts,
        follows=follows,
        median=median,
        form=found.reading.columns.get(change.column, PLAIN),
        nulls=found.reading.nulls,
        encoding=_choose_encoding(facts, frame) if feature else "",
        notes=found.notes,
    )


def _choose_encoding(facts: ColumnFacts, frame: "pd.DataFrame") -> str:
    found = choose_encodings((facts,), frame).get(facts.name)
    return found.encoding if found else ""


def _plan(service: str, request: SchemaRequest, table: LockedTable) -> SchemaPlan:
    """Return what is left to do of a change, with the table locked.

    Raises:
        SchemaRefused: nothing is left, or the change is not allowed.
    """
    config = load_service(service, environment_name())
    kinds = table.find_kinds()
    change = _complete(request.change, config, kinds)
    check_change(config, change)
    rules = _propose_rules(config, request, change)
    texts = _edit_files(config, change, request, rules)
    changes_table = kinds is not None and change_kinds(kinds, change) != kinds
    _check_same(config, change, kinds)
    is_late = kinds is not None and not changes_table
    plan = SchemaPlan(change, texts, changes_table, is_late)
    if plan.is_empty and _find_entry(prepare_control(), service, change):
        raise SchemaRefused(f"{service}: found {change.describe()} already; nothing to change")
    return plan


def _complete(
    change: SchemaChange, config: ServiceConfig, kinds: Mapping[str, str] | None
) -> SchemaChange:
    """Return a change with the kinds that follow from the columns.

    Raises:
        SchemaRefused: there is no such column, or nothing says which kind a new one has.
    """
    recorded = read_changes(find_home().table(config.service)) if kinds else []
    if recorded and type_change(recorded[-1].change) == type_change(change):
        return recorded[-1].change
    known: dict[str, str] = {**(kinds or {}), **config.data.columns}
    if change.action in ("widen", "drop") and change.column not in known:
        raise SchemaRefused(
            f"found no such column as '{change.column}'; "
            f"there are: {', '.join(config.data.columns)}"
        )
    if change.action == "add" and not change.kind:
        if change.column not in known:
            raise SchemaRefused(
                f"column '{change.column}': found no kind; allowed: "
                f"`add {shlex.quote(change.column)} KIND`, or `--from FILE` with its first batch"
            )
        return replace(change, kind=known[change.column])
    if change.action in ("add", "rename"):
        return change
    # The files or the table may be after the change already: the kind from before is the other's.
    found = {columns.get(change.column, "") for columns in (kinds or known, config.data.columns)}
    before = sorted(found - {change.kind, ""}) or sorted(found)
    return replace(change, before=before[0])


def _propose_rules(
    config: ServiceConfig, request: SchemaRequest, change: SchemaChange
) -> tuple[DataRule, ...]:
    if change.action != "add":
        return ()
    if request.facts:
        time = config.data.time or ""
        is_watched = request.feature and request.encoding not in UNLIKE
        return propose_column(request.facts, is_watched, time, request.follows, request.median)
    return (DataRule(KIND, {"column": change.column, "kind": change.kind}),)


def _edit_files(
    config: ServiceConfig,
    change: SchemaChange,
    request: SchemaRequest,
    rules: tuple[DataRule, ...],
) -> dict[Path, str]:
    """Return the new texts of the files that change, after they were read as a service's.

    Raises:
        SchemaRefused: the configuration cannot be edited.
        ConfigInvalid: a file is not right after the change.
    """
    path = CONFIGS / f"{config.service}{SUFFIX}"
    with path.open(encoding="utf-8", newline="") as file:
        before = file.read()
    text = edit_configuration(before, change, request.feature, "added by `sluice schema`")
    if change.action == "add":
        reading, encoding = config.data.reading, request.encoding
        text = add_form(text, change.column, request.form, request.nulls, reading, encoding)
    suite = read_suite(SUITES, config.data.suite)
    added = [build_expectation(rule) for rule in rules]
    edited = {**suite, "expectations": edit_rules(suite["expectations"], change, added)}
    texts = {}
    if edited != suite:
        texts[SUITES / "expectations" / f"{config.data.suite}.json"] = dump_suite(edited)
    if text != before:
        _check_text(config.service, text)
        texts[path] = text
    return texts


def _check_text(service: str, text: str) -> None:
    """Check a configuration's new text, with the overlay of each environment.

    Raises:
        ConfigInvalid: it is not a service's configuration.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{service}{SUFFIX}").write_text(text, encoding="utf-8")
        for overlay in OVERLAYS:
            if (CONFIGS / f"{overlay}{SUFFIX}").exists():
                shutil.copyfile(CONFIGS / f"{overlay}{SUFFIX}", folder / f"{overlay}{SUFFIX}")
        check_metrics(load_service(service, environment_name(), folder))


def _check_same(
    config: ServiceConfig, change: SchemaChange, kinds: Mapping[str, str] | None
) -> None:
    """Check that configuration and table have the same columns once the change is made.

    Raises:
        SchemaRefused: they differ in other columns too.
    """
    if kinds is None:
        return
    configured, stored = (change_kinds(item, change) for item in (config.data.columns, kinds))
    if configured != stored:
        raise SchemaRefused(
            f"{config.service}: {explain_difference(config, stored, configured)}; "
            "make this change first"
        )


def _find_entry(control: Control, service: str, change: SchemaChange) -> TimelineEntry | None:
    """Return the entry of the service's last change of its schema, if it is this one."""
    entries = (item for item in control.timeline.list_entries(service) if item.action == SCHEMA)
    last = next(entries, None)
    return last if last and last.message.endswith(f": {change.describe()}") else None


def _record(
    control: Control, service: str, plan: SchemaPlan, author: Author, version: int | None
) -> TimelineEntry:
    """Append the change to the service's timeline; one that is completed may have its entry."""
    where = "no data yet" if version is None else f"data version {version}"
    known = _find_entry(control, service, plan.change)
    if known and not plan.changes_table and not plan.texts:
        return known
    entry = TimelineEntry(
        service,
        datetime.now(UTC),
        SCHEMA,
        by=author.by,
        reason=author.reason,
        origin=author.origin,
        message=f"{where}: {plan.change.describe()}",
    )
    return control.timeline.append(entry)


def _settle(control: Control, service: str, version: int) -> None:
    """Let the version pass as announced, since no row is new, and refused deliveries be read again.

    Where the version before it still waits for a release, this one is announced by the next watch.
    """
    marks = control.watermarks
    seen = marks.find(service, VERSION)
    if seen.mark == f"v{version - 1}" and seen.announced is None:
        marks.move(seen, seen.settle(f"v{version}"))
    for subject in marks.list_marks(service):
        if subject.startswith(REFUSED):
            refused = marks.find(service, subject)
            marks.move(refused, refused.settle(FORGOTTEN))


def read_history(service: str) -> list[dict[str, Any]]:
    """Return the changes of a service's schema, oldest first, as rows of a table.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    return [
        {
            "data version": str(item.version),
            "change": item.change.describe(),
            "by": item.author,
        }
        for item in read_changes(find_home().table(service))
    ]
