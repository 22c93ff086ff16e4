"""Commands about releases: release, promote, approve, refuse."""

import sys
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.arguments import check_data, check_decision, check_source
from cli.options import By, Reason, Service, Version
from cli.output import say
from cli.runs import RunResult, open_terminal, report_end, run_ingest, run_release

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

PANEL = "Release"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def release(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    service: Service,
    data_version: Annotated[
        int, typer.Option(min=-1, help="Version of the data; -1: latest.")
    ] = -1,
    seed: Annotated[int, typer.Option(help="Training seed; -1: as configured.")] = -1,
    split_seed: Annotated[int, typer.Option(help="Seed of the split; -1: as configured.")] = -1,
    mitigation: Annotated[
        Literal["as-configured", "none", "reweigh"], typer.Option(help="Bias mitigation.")
    ] = "as-configured",
    cause: Annotated[str, typer.Option(help="Reason for it; part of the run's name.")] = "by hand",
    ingest: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A file to append first; again for more."),
    ] = None,
) -> None:
    """Take a service's data through every gate to a registered model."""
    from sluice.config.overrides import read_overrides

    values: dict[str, object] = {"seed": seed, "split_seed": split_seed, "mitigation": mitigation}
    overrides = read_overrides(values)
    for file in ingest or ():
        check_source(service, file)
    if not ingest:
        check_data(service, data_version)
    with open_terminal(service):
        for file in ingest or ():
            if code := run_ingest(service, file, announce=False).code:
                sys.exit(code)
        sys.exit(run_release(service, data_version, overrides, cause).code)


@commands.command(rich_help_panel=PANEL)
def promote(
    service: Service,
    by: Annotated[str, typer.Option(help="Your name; else your login's.")] = "",
    reason: Annotated[str, typer.Option(help="Your reason, in a sentence.")] = "",
) -> None:
    """Make the candidate the champion without a rollout; it must have passed its gates."""
    with open_terminal(service):
        from flows.promote import promote as flow

        state: State[Any] = flow(service, by or getuser(), reason, return_state=True)
        sys.exit(report_end(state).code)


@commands.command(rich_help_panel=PANEL)
def approve(service: Service, by: By, reason: Reason, version: Version = -1) -> None:
    """Approve the version that waits for a person's decision."""
    check_decision(service, by, reason)
    with open_terminal(service):
        sys.exit(run_decision(service, version, "approve", by, reason).code)


@commands.command(rich_help_panel=PANEL)
def refuse(service: Service, by: By, reason: Reason, version: Version = -1) -> None:
    """Refuse the version that waits for a person's decision."""
    check_decision(service, by, reason)
    with open_terminal(service):
        sys.exit(run_decision(service, version, "refuse", by, reason).code)


def run_decision(service: str, version: int, decision: str, by: str, reason: str) -> RunResult:
    """Run the approve flow here, print what follows from the decision, return how it ended."""
    from flows.approve import approve as flow
    from sluice.control.approval import ApprovalAnswer
    from sluice.report.approval import describe_answer

    given: dict[str, Any] = {"version": version, "decision": decision, "by": by, "reason": reason}
    state: State[Any] = flow(service, **given, return_state=True)
    result = report_end(state)
    if result.code == 0:
        decided = state.result()
        answer = ApprovalAnswer(decided.answer)
        say(f"{answer.value}: {describe_answer(answer, service, decided.version, decided.alias)}")
    return result
