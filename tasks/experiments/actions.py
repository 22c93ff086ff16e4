"""The steps of an experiment, on control store, traffic log and registry; forms and terminal share.

Nothing here needs Prefect. The traffic's controller is in `controller`.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import get_args

from sluice.adapters.control.commands import require_reason
from sluice.adapters.control.store import Control
from sluice.adapters.registry.aliases import CANDIDATE
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import open_registry
from sluice.config.experiments.experiment import ExperimentConfig
from sluice.config.experiments.loading import load_experiment
from sluice.control.command import Author
from sluice.control.route import Route
from sluice.errors import CommandRefused, ExperimentRefused, SplitBroken
from sluice.experiments.analysis import Choice, ExperimentAnalysis, analyse_units
from sluice.experiments.plan import plan_experiment
from sluice.experiments.record import (
    ExperimentDecision,
    ExperimentPhase,
    ExperimentRecord,
)
from sluice.experiments.steps import (
    require_choice,
    require_duration,
    require_plan,
    require_started,
)
from sluice.home import find_home
from tasks.experiments.collecting import UnitCollector, read_history

AS_CANDIDATE = -1
"""The version that carries the alias `candidate`."""


@dataclass(frozen=True)
class ExperimentResult:
    """What became of an experiment; `message` is for people."""

    name: str
    number: int
    service: str
    phase: str
    message: str


def plan_run(control: Control, name: str, now: datetime, by: str = "") -> ExperimentRecord:
    """Plan an experiment from the traffic seen, and record the plan.

    Raises:
        ConfigInvalid: the experiment's file is not right.
        ExperimentRefused: it cannot be planned, or its last run has no decision yet.
        Fault: the control store or the traffic log cannot be reached.
    """
    config = load_experiment(name)
    history = read_history(config, now)
    end = now.timestamp()
    oldest = float(history.at.min()) if len(history.at) else end
    span = (max(end - config.history, oldest), end)
    try:
        plan = plan_experiment(config, history, span)
    except ValueError as error:
        raise ExperimentRefused(f"{name}: {error}") from error
    return control.experiments.plan(config, plan, now, by)


def prepare_start(control: Control, name: str, version: int) -> ExperimentRecord:
    """Return the planned record with its arms, if the experiment may start.

    Raises:
        ConfigInvalid: the experiment's file is not right.
        ExperimentRefused: a step would be skipped, or there are no two versions to compare.
        PromotionRefused: the version did not pass its gates.
        Fault: the control store or the registry cannot be reached.
    """
    config = load_experiment(name)
    record = require_plan(control.experiments.find(name), config)
    route = control.routes.find(config.service)
    if route is None:
        raise ExperimentRefused(
            f"{name}: found no version that serves as {config.service}; next: release one"
        )
    treatment = (
        route.champion if config.mode == "aa" else _find_treatment(control, config, route, version)
    )
    return replace(
        record,
        control=route.champion,
        treatment=treatment,
        kind=route.kind,
        salt=secrets.token_hex(8),
    )


def _find_treatment(control: Control, config: ExperimentConfig, route: Route, version: int) -> int:
    """Return the version of the treatment, which passed its gates."""
    service = config.service
    found = (
        _find_prompt(service, version)
        if route.kind == "prompt"
        else _find_model(control, service, version)
    )
    if found == route.champion:
        raise ExperimentRefused(
            f"{config.experiment}: found v{found}, which serves already; allowed: another version, "
            "or `mode: aa`"
        )
    return found


def _find_model(control: Control, service: str, version: int) -> int:
    registry = open_registry(find_home())
    if version == AS_CANDIDATE:
        found, missing = registry.find_alias(service, CANDIDATE), "a candidate"
    else:
        found, missing = find_version(registry, service, version), f"v{version}"
    if found is None:
        raise ExperimentRefused(f"{service} has no {missing.removeprefix('a ')}; next: release one")
    control.admissions.confirm(service, found.version, found.tags)
    return found.version


def _find_prompt(prompt: str, version: int) -> int:
    if version == AS_CANDIDATE:
        raise ExperimentRefused(
            f"{prompt}: found no version of the treatment; allowed: `--version N` of a prompt that "
            "was published"
        )
    published = list(find_home().published_prompts(prompt).glob(f"v{version}-*.yaml"))
    if not published:
        raise ExperimentRefused(
            f"{prompt}: v{version} was not published; next: `sluice prompt publish {prompt} "
            f"{version}` takes it through its gates"
        )
    return version


def analyse_run(control: Control, name: str, now: datetime, by: str = "") -> ExperimentRecord:
    """Analyse an experiment whose duration is over, or take a sequential look; record it.

    Raises:
        ExperimentRefused: a step would be skipped, or it was decided already.
        DataMissing: nothing of it was logged.
        Fault: the control store or the traffic log cannot be reached.
    """
    record = require_started(control.experiments.find(name), name)
    if record.phase is ExperimentPhase.DECIDED:
        raise ExperimentRefused(
            f"{name}: run {record.number} was decided; next: `sluice experiment status {name}` "
            "shows its analysis"
        )
    require_duration(record, now)
    if record.phase is ExperimentPhase.RUNNING and record.is_due(now):
        record = control.experiments.end(record, "", now)
    return control.experiments.analyse(record, look_at(record, now), now, by)


def look_at(record: ExperimentRecord, now: datetime) -> ExperimentAnalysis:
    """Return the analysis of a record's traffic by now.

    Raises:
        DataMissing: nothing of it was logged.
        DataUnavailable: the traffic log cannot be reached.
    """
    units, look = UnitCollector(record).collect(now)
    return analyse_units(units, record.config, look)


def raise_broken(record: ExperimentRecord) -> None:
    """Raise what stopped an analysis, if anything did.

    Raises:
        SplitBroken: the units were not split as planned.
    """
    found = record.analysis
    if found is not None and found.stopped:
        raise SplitBroken(
            f"{record.name}: {found.stopped}; nothing was analysed; next: find what loses or "
            f"repeats units, then `sluice experiment decide {record.name} iterate --by NAME "
            "--reason WORDS`"
        )


def decide_run(
    control: Control, name: str, choice: str, author: Author, now: datetime
) -> ExperimentRecord:
    """Record a person's decision; the traffic of a running experiment ends with it.

    The same decision again changes nothing: a run that was interrupted after it goes through.

    Raises:
        CommandRefused: there is no name or no reason, or no such decision.
        ExperimentRefused: a step would be skipped, or the analysis does not carry the decision.
        Fault: the control store cannot be reached.
    """
    require_reason(f"experiment decide {name}", author.by, author.reason)
    chosen = read_choice(choice)
    record = require_started(control.experiments.find(name), name)
    decision = ExperimentDecision(
        chosen, author.by.strip(), author.reason.strip(), now, author.origin
    )
    if record.decision is not None and record.decision.repeats(decision):
        return record
    require_choice(record, chosen)
    return control.experiments.decide(record, decision, now)


def read_choice(text: str) -> Choice:
    """Return the decision that a text names.

    Raises:
        CommandRefused: it names none.
    """
    for choice in get_args(Choice):
        if text == choice:
            found: Choice = choice
            return found
    raise CommandRefused(f"found '{text}'; allowed: {', '.join(get_args(Choice))}")


def describe_record(record: ExperimentRecord, now: datetime) -> str:
    """Return where an experiment stands, in a sentence with what comes next."""
    name, command = record.name, f"sluice experiment {{}} {record.name}"
    if record.phase is ExperimentPhase.PLANNED:
        plan = record.plan
        return (
            f"planned: {plan.units:,} units, {plan.days:,.1f} days; next: "
            f"`{command.format('start')}`"
        )
    if record.phase is ExperimentPhase.RUNNING:
        due = f"{record.due:%Y-%m-%d %H:%M:%S} UTC" if record.due else ""
        over = "is over" if record.is_due(now) else f"lasts until {due}"
        return (
            f"v{record.treatment} beside v{record.control} at {record.config.split:.0%}, {over}; "
            f"next: `{command.format('analyse')}`"
        )
    if record.phase is ExperimentPhase.ENDED:
        why = f": {record.end_reason}" if record.end_reason else ", as planned"
        return f"its traffic ended{why}; next: `{command.format('analyse')}`"
    if record.phase is ExperimentPhase.ANALYSED and record.analysis:
        return (
            f"{record.analysis.recommended} is recommended: {record.analysis.reason}; next: "
            f"`{command.format('decide')} promote|iterate|discard --by NAME --reason WORDS`"
        )
    decision = record.decision
    return f"{decision.choice} by {decision.by}: {decision.reason}" if decision else name


def describe_event(record: ExperimentRecord) -> dict[str, str | int]:
    """Return the payload of an event about an experiment: what is known of it by now."""
    found, decision = record.analysis, record.decision
    facts: dict[str, str | int] = {
        "version": record.treatment,
        "experiment": record.key,
        "champion": record.control,
        "reason": record.end_reason,
    }
    if found is not None:
        facts |= {"recommended": found.recommended, "reason": found.reason}
    if decision is not None:
        facts |= {"decision": decision.choice, "by": decision.by, "reason": decision.reason}
    return facts


def wrap_result(record: ExperimentRecord, message: str = "") -> ExperimentResult:
    """Return what a run of the flow says at its end."""
    text = message or describe_record(record, datetime.now(UTC))
    return ExperimentResult(record.name, record.number, record.service, record.phase.value, text)
