"""A batch prediction from its start: the version, the input, the output, and the parts to score."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from prefect import get_run_logger

from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import ModelVersionRef, open_registry
from sluice.adapters.registry.served import ServedModel, load_served
from sluice.adapters.sources.batch import check_same, find_batch_input, list_schemas, read_part
from sluice.adapters.tables.scored import ScoredTable
from sluice.config.service import ServiceConfig
from sluice.errors import ChoiceNeeded, DataInvalid, DataMissing
from sluice.home import find_home
from sluice.scoring.inputs import BadRow, check_input_schema, sift_inputs
from sluice.scoring.output import BAD_ROWS, describe_output
from sluice.scoring.plan import BadRows, BatchInput, InputPart, choose_kept, name_run
from tasks.run.champions import find_champion, require_record
from tasks.run.decorators import effect

CHAMPION = "champion"
ANY = -1
"""No version is named: the alias says which."""
MOST_BAD = 1_000
"""Bad rows from which an input is refused without counting further."""
SET_ASIDE = "-set-aside"
"""End of the address of the table of rows that were set aside."""


@dataclass(frozen=True)
class ScoringRequest:
    """What a person asks for: the input, the output, the version, and how rows are treated."""

    source: str
    output: str
    version: int = ANY
    alias: str = CHAMPION
    keep: str = "id"
    bad_rows: BadRows = "refuse"


@dataclass(frozen=True)
class ScoringJob:
    """A batch prediction that has begun; every part of it is scored from these facts alone.

    `key` identifies the run in the output. `scored_at` is when it began, for each of its attempts.
    """

    service: str
    version: int
    run_id: str
    key: str
    source: BatchInput
    output: str
    kept: tuple[str, ...]
    bad_rows: BadRows
    scored_at: datetime

    @property
    def set_aside(self) -> str:
        """The address of the table of rows that were set aside."""
        return self.output.rstrip("/") + SET_ASIDE

    @property
    def parts(self) -> "list[PartJob]":
        """The parts to score, in their order."""
        found, before = list[PartJob](), 0
        whole = replace(self, source=replace(self.source, parts=()))
        for part in self.source.parts:
            found.append(PartJob(whole, part, before, self.source.rows))
            before += part.rows
        return found


@dataclass(frozen=True)
class PartJob:
    """One part of a batch prediction, with `before` of the `total` rows in earlier parts."""

    job: ScoringJob
    part: InputPart
    before: int
    total: int


@effect
def open_job(config: ServiceConfig, request: ScoringRequest) -> ScoringJob:
    """Find version, input and output, check that they fit, and mark the start in the output.

    With `refuse` every row is checked before anything is written.

    Raises:
        ChoiceNeeded: a version and an alias are named, or the output is the input.
        DataMissing: there is no such version.
        PromotionRefused: the version may not serve.
        DataInvalid: the input cannot be read, lacks a column, or has a row that does not fit; or
            the output has other columns.
        Fault: something outside cannot be reached.
    """
    log, now = get_run_logger(), datetime.now(UTC)
    output = _check_output(request)
    version = find_scoring_version(config.service, request.version, request.alias)
    model = open_model(version.service, version.version, version.run_id)
    found = find_batch_input(request.source)
    data = model.facts.data
    log.info(
        "%s rows of %s (parts: %d), by %s v%d (%s%s)",
        *(f"{found.rows:,}", found.uri, len(found.parts), version.service, version.version),
        *(model.form, f": {model.reason}" if model.reason else ""),
    )
    kept = choose_kept(request.keep, data.id, found.columns)
    for file, schema in list_schemas(found):
        check_input_schema(schema, data, kept, file)
        written = describe_output(schema, kept, model.format, file)
    if request.bad_rows == "refuse":
        log.info("checking every row")
        refuse_bad_rows(found, model)
    key = name_run(version.service, version.version, version.run_id, found.mark)
    started = ScoredTable(output, key).begin(written, now)
    job = ScoringJob(
        version.service,
        version.version,
        version.run_id,
        key,
        found,
        output,
        kept,
        request.bad_rows,
        started,
    )
    if request.bad_rows == "set-aside":
        ScoredTable(job.set_aside, key).begin(BAD_ROWS, started)
    return job


def _check_output(request: ScoringRequest) -> str:
    output = request.output.rstrip("/")
    if request.version != ANY and request.alias != CHAMPION:
        raise ChoiceNeeded(
            f"found version {request.version} and alias '{request.alias}'; allowed: one of them"
        )
    if "://" not in output and not Path(output).is_absolute():
        raise DataInvalid(f"{output}: found a relative path, allowed: an absolute path, or a URL")
    if output == request.source.rstrip("/"):
        raise ChoiceNeeded(f"{output}: it is the input; allowed: another table as the output")
    return output


def find_scoring_version(service: str, version: int, alias: str) -> ModelVersionRef:
    """Return the version to score with, if it may serve.

    `version` is its number, or -1: the alias says which; the champion is the one that serves.

    Raises:
        DataMissing: there is no such version.
        RolloutRefused: a version serves that the registry does not have.
        PromotionRefused: it did not pass its gates, or waits for a person.
        Fault: the registry or the control store cannot be reached.
    """
    registry = open_registry(find_home())
    if version != ANY:
        found, name = find_version(registry, service, version), f"v{version}"
    elif alias == CHAMPION:
        found, name = require_record(find_champion(service)), CHAMPION
    else:
        found, name = registry.find_alias(service, alias), alias
    if found is None:
        raise DataMissing(
            f"{service} has no {name}; next: `sluice show {service}` lists its versions, and "
            f"`sluice release {service}` makes one"
        )
    prepare_control().admissions.confirm(service, found.version, found.tags)
    return found


def open_model(service: str, version: int, run_id: str) -> ServedModel:
    """Return a version in the form that serves; a process loads it once.

    Raises:
        Refused: it cannot be loaded, or answers otherwise than in its evaluation.
        Fault: the registry cannot be reached.
    """
    return _load_model(str(find_home().root), service, version, run_id)


@lru_cache(maxsize=1)
def _load_model(_home: str, service: str, version: int, run_id: str) -> ServedModel:
    registry = open_registry(find_home())
    found = find_version(registry, service, version)
    if found is None or found.run_id != run_id:
        raise DataMissing(f"the registry has no {service} v{version} of run {run_id} any more")
    return load_served(registry, found)


def refuse_bad_rows(found: BatchInput, model: ServedModel) -> None:
    """Check every row of an input.

    Raises:
        DataInvalid: a row does not fit; the first one is named and the others are counted.
        DataUnavailable: the input cannot be reached, or changed meanwhile.
    """
    data, bad = model.facts.data, list[BadRow]()
    for part in found.parts:
        at = part.first
        for rows in read_part(found, part, data.features):
            bad += sift_inputs(rows, data, (), part.file, at).bad
            at += rows.num_rows
            if len(bad) >= MOST_BAD:
                break
    if bad:
        least = "at least " if len(bad) >= MOST_BAD else ""
        more = f"; {least}{len(bad) - 1:,} more rows do not fit" if len(bad) > 1 else ""
        raise DataInvalid(
            f"{bad[0].describe()}{more}; nothing was written; next: repair the input, or set such "
            "rows aside with `--bad-rows set-aside`"
        )
    check_same(found)
