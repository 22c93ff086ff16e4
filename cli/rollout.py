"""What a person decides: approve a version, begin a rollout, steer it, go back."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

commands = typer.Typer()
Service = Annotated[str, typer.Argument(help="Name of a service: a file in configs/.")]
By = Annotated[str, typer.Option(help="Your name, as it stays on record.")]
Why = Annotated[str, typer.Option(help="Your reason, in a sentence.")]
Version = Annotated[int, typer.Option(help="Version of the model; -1: the one that waits.")]


@commands.command()
def approve(service: Service, by: By, why: Why, version: Version = -1) -> None:
    """Approve the version that waits for a person's decision."""
    from cli.runs import open_terminal, run_decision

    with open_terminal(service):
        sys.exit(run_decision(service, version, "approve", by, why).code)


@commands.command()
def refuse(service: Service, by: By, why: Why, version: Version = -1) -> None:
    """Refuse the version that waits for a person's decision."""
    from cli.runs import open_terminal, run_decision

    with open_terminal(service):
        sys.exit(run_decision(service, version, "refuse", by, why).code)


@commands.command()
def rollout(
    service: Service,
    version: Annotated[int, typer.Option(min=-1, help="Version; -1: the candidate.")] = -1,
    policy: Annotated[str, typer.Option(help="Name or path; else the service's own.")] = "",
) -> None:
    """Move live traffic to the candidate in stages, on evidence; this process controls it."""

    def begin() -> Any:
        from flows.rollout import rollout as flow

        return flow(service, version, policy or "as configured", return_state=True)

    _run(service, begin)


@commands.command()
def rollout_control(
    service: Service,
    action: Annotated[
        str,
        typer.Argument(help="pause, resume, abort, skip, 'promote now', 'roll back' or approve."),
    ],
    by: By,
    why: Why,
) -> None:
    """Steer the rollout that is under way."""

    def command() -> Any:
        from flows.rollout_control import rollout_control as flow

        return flow(service, action=action, reason=why, by=by, return_state=True)

    _run(service, command)


@commands.command()
def rollback(service: Service, by: By, why: Why) -> None:
    """Take the candidate off, or let the previous version serve again."""

    def go_back() -> Any:
        from flows.rollback import rollback as flow

        return flow(service, reason=why, by=by, return_state=True)

    _run(service, go_back)


@commands.command()
def restore(
    service: Service,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to serve.")],
    by: By,
    why: Why,
) -> None:
    """Make any earlier version champion."""

    def bring_back() -> Any:
        from flows.restore import restore as flow

        return flow(service, version=version, reason=why, by=by, return_state=True)

    _run(service, bring_back)


def _run(service: str, call: "Callable[[], Any]") -> None:
    """Run a flow here, say how it ended, and end with its exit code."""
    from cli.output import say
    from cli.runs import open_terminal, report_end

    with open_terminal(service):  # before Prefect is imported: it reads its settings once
        from tasks.run.state import SKIPPED

        state = call()
        ending = report_end(state)
        if state.name == SKIPPED:
            say(f"skipped: {state.message}")
        elif ending.code == 0:
            done = state.result()
            say(f"{service}: {getattr(done, 'words', '') or f'{done.phase}: {done.reason}'}")
        sys.exit(ending.code)
