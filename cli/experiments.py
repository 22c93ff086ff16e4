"""Commands about experiments: experiment plan, start, status, analyse, decide."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.options import AsJson, By, Reason, check_version
from cli.output import report_waiting, say, show_rows
from sluice.home import find_home

if TYPE_CHECKING:
    from sluice.config.experiments.experiment import ExperimentConfig
    from sluice.experiments.record import ExperimentRecord

PANEL = "Experiments"
commands = typer.Typer()
experiment = typer.Typer(
    help="A/B tests on live traffic: plan, start, status, analyse, decide.", no_args_is_help=True
)
commands.add_typer(experiment, name="experiment", rich_help_panel=PANEL)

Name = Annotated[str, typer.Argument(help="Name of an experiment: a file in configs/experiments/.")]
OptionalBy = Annotated[str, typer.Option(help="Your name, as it stays on record.")]
Choice = Annotated[
    Literal["promote", "iterate", "discard"], typer.Argument(help="What you decide.")
]


@experiment.command()
def plan(name: Name, by: OptionalBy = "", as_json: AsJson = False) -> None:
    """Compute units and duration from the traffic seen, and what effect it could find."""
    check_experiment(name)
    from sluice.adapters.control.store import prepare_control
    from tasks.experiments.actions import plan_run

    with keep_stdout(as_json), report_waiting("reading the traffic"):
        record = plan_run(prepare_control(), name, datetime.now(UTC), by)
    if as_json:
        from sluice.experiments.record import dump_facts

        say(dump_facts(record.plan))
        return
    from sluice.report.experiments.rows import list_plan, write_length

    show_rows(f"Plan of {name}", [{"": key, "plan": text} for key, text in list_plan(record)])
    rows = [
        {
            "after": write_length(point.seconds),
            "units": f"{point.units:,}",
            "finds": f"{point.effect:.1%}" if point.units else "nothing",
        }
        for point in record.plan.curve
    ]
    show_rows("What the traffic finds", rows)
    _end(record)


@experiment.command()
def start(
    name: Name,
    version: Annotated[
        int,
        typer.Option(
            help="Version of the treatment; -1: the candidate of a model.", callback=check_version
        ),
    ] = -1,
    by: OptionalBy = "",
) -> None:
    """Begin the traffic of a planned experiment; this process keeps it to its end."""
    config = check_experiment(name)
    from cli.runs import open_terminal, report_end, say_skipped

    with open_terminal(is_for_prompts=True):
        from flows.experiments.experiment import experiment as flow

        running = find_running(name) is not None
        step = "resume" if running else "start"
        state: Any = flow(name, step, version, by=by, return_state=True)
        result = report_end(state)
        if not say_skipped(state) and result.code == 0:
            say(f"{config.service}: {state.result().message}")
        sys.exit(result.code)


@experiment.command()
def status(name: Annotated[str, typer.Argument(help="Left out: all.")] = "") -> None:
    """Show where an experiment stands: its step, units so far, and what comes next."""
    if name:
        check_experiment(name)
    from sluice.adapters.control.store import prepare_control
    from sluice.config.experiments.loading import list_experiments
    from tasks.experiments.actions import describe_record

    control, now = prepare_control(), datetime.now(UTC)
    if not name:
        newest = {item.name: item for item in control.experiments.list_experiments()}
        rows = [
            {
                "experiment": one,
                "service": newest[one].service if one in newest else "",
                "state": newest[one].phase.value if one in newest else "not planned",
                "next": describe_record(newest[one], now)
                if one in newest
                else f"`sluice experiment plan {one}`",
            }
            for one in sorted({*newest, *list_experiments()})
        ]
        show_rows("Experiments", rows)
        return
    record = control.experiments.find(name)
    if record is None:
        say(f"{name}: not planned yet; next: `sluice experiment plan {name}`")
        return
    _show_status(record, now)


@experiment.command()
def analyse(name: Name, by: OptionalBy = "", as_json: AsJson = False) -> None:
    """Analyse an experiment whose duration is over, or take a sequential look."""
    check_experiment(name)
    from sluice.adapters.control.store import prepare_control
    from tasks.experiments.actions import analyse_run

    with keep_stdout(as_json), report_waiting("analysing the traffic"):
        record = analyse_run(prepare_control(), name, datetime.now(UTC), by)
    if as_json:
        from sluice.experiments.record import dump_facts

        say(dump_facts(record.analysis))
    else:
        show_analysis(record)
        _end(record)
        _tell_prefect(record, "experiment.analysed")
    from tasks.experiments.actions import raise_broken

    raise_broken(record)


@experiment.command()
def decide(name: Name, choice: Choice, by: By, reason: Reason) -> None:
    """Decide: promote hands the treatment to a rollout; what still runs ends."""
    check_experiment(name)
    from sluice.adapters.control.commands import require_reason

    require_reason(f"experiment decide {name}", by, reason)
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.moves import name_terminal
    from sluice.control.command import Author
    from tasks.experiments.actions import decide_run

    author = Author(by, reason, name_terminal())
    record = decide_run(prepare_control(), name, choice, author, datetime.now(UTC))
    say(f"{record.service}: {choice} by {author.by}: {author.reason}")
    _end(record)
    _tell_prefect(record, "experiment.decided")
    if choice == "promote":
        say(f"rollout   {_hand_over(record)}")


@contextmanager
def keep_stdout(as_json: bool) -> Iterator[None]:
    """Keep stdout for the JSON alone: what is said meanwhile goes to stderr."""
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        yield


def check_experiment(name: str) -> "ExperimentConfig":
    """Return an experiment's configuration.

    Raises:
        ConfigInvalid: there is no such experiment, or its file is not right.
    """
    from sluice.config.experiments.loading import load_experiment

    return load_experiment(name)


def find_running(name: str) -> "ExperimentRecord | None":
    """Return an experiment whose traffic runs, so that this process continues it.

    Raises:
        Fault: the control store cannot be reached.
    """
    from sluice.adapters.control.store import prepare_control
    from sluice.experiments.record import ExperimentPhase

    record = prepare_control().experiments.find(name)
    return record if record and record.phase is ExperimentPhase.RUNNING else None


def show_analysis(record: "ExperimentRecord") -> None:
    """Print an experiment's analysis as tables."""
    from sluice.report.experiments.rows import describe_metric, describe_ratio, list_counts

    found = record.analysis
    if found is None:
        return
    show_rows("Units", [{"": key, "found": text} for key, text in list_counts(record)])
    shown = [item for item in found.ratios if item.is_broken] or found.ratios[:1]
    heads = ("segment", "control and treatment", "finding")
    show_rows("Sample ratio", [dict(zip(heads, describe_ratio(one), strict=True)) for one in shown])
    heads_of_metrics = ("metric", "control, treatment", "difference", "finding")
    rows = [
        dict(zip(heads_of_metrics, describe_metric(item), strict=True)) for item in found.metrics
    ]
    if rows:
        show_rows("Metrics", rows)


def _show_status(record: "ExperimentRecord", now: datetime) -> None:
    from sluice.adapters.control.store import prepare_control
    from sluice.errors import SluiceError
    from sluice.experiments.record import ExperimentPhase
    from sluice.experiments.split import check_split
    from sluice.report.experiments.rows import describe_ratio, list_plan, list_state
    from tasks.experiments.collecting import UnitCollector

    facts = [*list_state(record, now), *list_plan(record)]
    if record.phase is ExperimentPhase.RUNNING:
        try:
            units, _ = UnitCollector(record).collect(now)
            checks = check_split(units, record.config.split)
            facts.append(("split", ", ".join(describe_ratio(checks[0])[1:])))
            facts.append(("seen in both arms", f"{units.mixed:,} units"))
            facts.append(("in neither arm", f"{units.unassigned:,} requests"))
            if units.without_unit:
                facts.append(("without a unit", f"{units.without_unit:,} requests"))
        except SluiceError as error:
            facts.append(("split", f"not known: {error}"))
    show_rows(f"Experiment {record.name}", [{"": key, "found": text} for key, text in facts])
    if record.analysis is not None:
        show_analysis(record)
    log = prepare_control().experiments.read_log(record.name, record.number)
    rows = [
        {
            "at": f"{item.at:%Y-%m-%d %H:%M:%S}",
            "step": item.phase.value,
            "by": item.by,
            "reason": item.reason,
            "facts": json.dumps(item.facts or {}),
        }
        for item in log
    ]
    show_rows("Log", rows)
    _end(record)


def _end(record: "ExperimentRecord") -> None:
    from tasks.experiments.actions import describe_record
    from tasks.experiments.publishing import write_report

    say(f"report    {write_report(record)}")
    say(f"{record.name}: {describe_record(record, datetime.now(UTC))}")


def _tell_prefect(record: "ExperimentRecord", event: str) -> None:
    """Send Prefect the event and the page, if its server is there."""
    from sluice.adapters.server.home_server import server_environment
    from sluice.adapters.server.notes import is_there, send_event, send_page
    from sluice.report.experiments.summary import write_summary
    from tasks.experiments.actions import describe_event
    from tasks.experiments.publishing import describe_page

    os.environ.update(server_environment(find_home()))
    api = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not is_there(api):
        say("Prefect   its server is not there: it has no event and no page of this step")
        return
    told = send_event(api, record.service, event, describe_event(record))
    shown = send_page(api, write_summary(record, datetime.now(UTC)), **describe_page(record))
    say(f"Prefect   {'told' if told and shown else 'did not take it'}")


def _hand_over(record: "ExperimentRecord") -> str:
    """Start the rollout by its deployment, where a server is there; say what can be done else."""
    from sluice.adapters.server.home_server import server_environment
    from sluice.adapters.server.notes import is_there

    command = f"`sluice rollout {record.service} --version {record.treatment}`"
    os.environ.update(server_environment(find_home()))
    if not is_there(os.environ.get("PREFECT_API_URL", "").rstrip("/")):
        return f"Prefect's server is not there; next: {command}"
    from tasks.experiments.handing_over import hand_over

    return hand_over(record)
