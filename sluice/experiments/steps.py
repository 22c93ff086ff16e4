"""Which step of an experiment may come next; one that is skipped is refused by its name."""

from datetime import datetime

from sluice.config.experiments.experiment import ExperimentConfig
from sluice.errors import ExperimentRefused
from sluice.experiments.analysis import Choice
from sluice.experiments.record import STEPS, ExperimentPhase, ExperimentRecord, matches_file

ORDER = tuple(ExperimentPhase)


def require_plan(record: ExperimentRecord | None, config: ExperimentConfig) -> ExperimentRecord:
    """Return the record from which an experiment may start.

    Raises:
        ExperimentRefused: there is no plan, it was made from another file, or it was used already.
    """
    name = config.experiment
    if record is None:
        raise skip(name, ExperimentPhase.PLANNED, "nothing was planned yet")
    if record.phase is not ExperimentPhase.PLANNED:
        raise skip(name, ExperimentPhase.PLANNED, f"run {record.number} is {record.phase} already")
    if not matches_file(record, config):
        raise skip(name, ExperimentPhase.PLANNED, "its file was changed since it was planned")
    return record


def require_started(record: ExperimentRecord | None, name: str) -> ExperimentRecord:
    """Return a record that has traffic, or had.

    Raises:
        ExperimentRefused: it was not planned, or not started.
    """
    if record is None:
        raise skip(name, ExperimentPhase.PLANNED, "nothing was planned yet")
    if record.phase is ExperimentPhase.PLANNED:
        raise skip(name, ExperimentPhase.RUNNING, f"run {record.number} is planned, not started")
    return record


def require_duration(record: ExperimentRecord, now: datetime) -> None:
    """Refuse a fixed test that is read before its time.

    Raises:
        ExperimentRefused: it still runs, and its file has no sequential looks.
    """
    early = record.phase is ExperimentPhase.RUNNING and not record.is_due(now)
    if early and record.config.looks == "fixed":
        due = f"{record.due:%Y-%m-%d %H:%M:%S}" if record.due else ""
        raise ExperimentRefused(
            f"{record.name}: {STEPS[ExperimentPhase.ENDED][0]}, would be skipped: found a fixed "
            f"test that ends {due} UTC; allowed: an analysis after that, since a fixed test that "
            "is read early finds differences that are not there; next: `sluice experiment status "
            f"{record.name}`, or plan it with `looks: sequential`"
        )


def require_choice(record: ExperimentRecord, choice: Choice) -> None:
    """Refuse a decision that the analysis does not carry.

    Iterating and discarding are always allowed once it has started; a running one then ends.

    Raises:
        ExperimentRefused: it was decided already; or it is to be promoted without an analysis, or
            with one that does not recommend it.
    """
    if record.decision is not None:
        raise ExperimentRefused(
            f"{record.name}: run {record.number} was decided already: {record.decision.choice} by "
            f"{record.decision.by}; next: `sluice experiment plan {record.name}` begins another"
        )
    if choice != "promote":
        return
    if record.config.mode == "aa":
        raise ExperimentRefused(
            f"{record.name}: found promote of an A/A test, whose arms are one version; allowed: "
            "iterate, discard"
        )
    if record.end_reason and record.config.looks == "fixed":
        raise ExperimentRefused(
            f"{record.name}: {STEPS[ExperimentPhase.ENDED][0]}, would be skipped: its traffic "
            f"ended before its time: {record.end_reason}; allowed: iterate, discard"
        )
    if record.analysis is None:
        raise skip(record.name, ExperimentPhase.ANALYSED, "nothing was analysed yet")
    if record.analysis.recommended != "promote":
        raise ExperimentRefused(
            f"{record.name}: found promote; its analysis allows {record.analysis.recommended}: "
            f"{record.analysis.reason}; allowed: iterate, discard"
        )


def skip(name: str, phase: ExperimentPhase, fact: str) -> ExperimentRefused:
    """Return the refusal of what would skip the step that leads to a phase."""
    step, command = STEPS[phase]
    return ExperimentRefused(
        f"{name}: {step}, would be skipped: {fact}; next: `sluice experiment {command} {name}`"
    )
