"""What a person types: the console script `sluice`."""

import os
import sys
from dataclasses import replace
from typing import Annotated

import typer

from cli import rollout as steering
from cli.output import exit_code, say
from cli.stack import log_writer, page, serve
from sluice.errors import SluiceError

app = typer.Typer(
    help="Release models and prompts through gates that halt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Policy = Annotated[str, typer.Argument(help="Name in configs/policies, or path of a YAML file.")]
Rate = Annotated[float, typer.Option(help="Requests a second.")]
Errors = Annotated[float, typer.Option(help="Champion's error rate.")]
Latency = Annotated[float, typer.Option(help="Median time of an answer, in ms.")]
UserCount = Annotated[int, typer.Option(help="So many users; some always fail.", min=0)]
Service = Annotated[str, typer.Argument(help="Name of a service: a file in configs/.")]


@app.command()
def demo(
    fault: Annotated[
        str, typer.Option(help="data, leakage, bias, worse; errors, latency or worse_live: live.")
    ] = "",
    keep: Annotated[bool, typer.Option(help="Keep the UI up at the end, until Ctrl-C.")] = False,
) -> None:
    """Release the default service on real data, and roll its candidate out on replayed traffic."""
    arguments = [*(["--fault", fault] if fault else []), *(["--keep"] if keep else [])]
    # In this process's place, so that whoever ends the command ends all of it.
    os.execv(sys.executable, [sys.executable, "-m", "demo", *arguments])  # noqa: S606


@app.command()
def init(  # noqa: PLR0913, PLR0917 - a command takes what its line takes
    file: Annotated[str, typer.Argument(help="Parquet or CSV, the columns of every later file.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    id_column: Annotated[str, typer.Option("--id", help="Column that names each row.")] = "",
    time: Annotated[str, typer.Option(help="Column that orders rows in time.")] = "",
    sensitive: Annotated[str, typer.Option(help="Columns, comma between; or none.")] = "",
    reason: Annotated[str, typer.Option(help="Why none is sensitive.")] = "",
    kind: Annotated[str, typer.Option(help="binary, multiclass or regression.")] = "",
    positive: Annotated[str, typer.Option(help="Class looked for, or good to get.")] = "",
    service: Annotated[str, typer.Option(help="Its name; else the file's.")] = "",
    force: Annotated[bool, typer.Option(help="Overwrite the service's files.")] = False,
) -> None:
    """Make a service from a file: configuration, data rules, and what its gates can tell."""
    from cli.data import start_service
    from sluice.profile.draft import InitOptions

    wishes = InitOptions(target, id_column, time, kind, positive, sensitive, reason, service)
    start_service(file, wishes, force)


@app.command(context_settings={"ignore_unknown_options": True})
def expect(
    service: Service,
    action: Annotated[str, typer.Argument(help="add, edit or remove; the list if left out.")] = "",
    words: Annotated[
        list[str] | None, typer.Argument(help="add: COLUMN RULE VALUES; edit: NUMBER VALUES.")
    ] = None,
) -> None:
    """List a service's data rules by number, or change one."""
    from cli.data import change_rules

    change_rules(service, action, words or [])


@app.command()
def ingest(
    service: Service,
    source: Annotated[
        str, typer.Argument(help="Parquet, CSV or Delta table; the configured source if left out.")
    ] = "",
) -> None:
    """Append new rows as a version of a service's data, through the data gate."""
    from cli.runs import open_terminal, run_ingest

    with open_terminal(service):
        sys.exit(run_ingest(service, source).code)


@app.command()
def release(
    service: Service,
    data_version: Annotated[
        int, typer.Option(min=-1, help="Version of the data; -1: latest.")
    ] = -1,
    seed: Annotated[int, typer.Option(help="Training seed; -1: as configured.")] = -1,
    split_seed: Annotated[int, typer.Option(help="Seed of the split; -1: as configured.")] = -1,
    mitigation: Annotated[str, typer.Option(help="none or reweigh.")] = "as configured",
    cause: Annotated[str, typer.Option(help="Why, as the run's name says.")] = "by hand",
) -> None:
    """Take a service's data through every gate to a registered model."""
    from cli.runs import open_terminal, run_release
    from sluice.config.overrides import read_overrides

    values = {"seed": seed, "split_seed": split_seed, "mitigation": mitigation}
    overrides = read_overrides(values)
    with open_terminal(service):
        sys.exit(run_release(service, data_version, overrides, cause).code)


@app.command()
def promote(service: Service) -> None:
    """Make the candidate the champion (its gates passed; no live traffic is asked)."""
    from cli.runs import open_terminal, run_promote

    with open_terminal(service):
        sys.exit(run_promote(service).code)


@app.command()
def deploy(
    file: Annotated[str, typer.Option(help="What to deploy; else deployments.yaml.")] = "",
    prune: Annotated[bool, typer.Option(help="Remove what left the file.")] = False,
) -> None:
    """Bring deployments.yaml to the Prefect server that PREFECT_API_URL names."""
    from cli.stack import deploy_here

    deploy_here(file, prune)


@app.command()
def history(service: Service) -> None:
    """Show a service's releases, newest first: what each gate said and what came of it."""
    from cli.show import show_history

    show_history(service)


@app.command()
def show(
    service: Annotated[str, typer.Argument(help="Name of a service; all if left out.")] = "",
) -> None:
    """Show champion, candidate and previous version, and the verdicts behind them."""
    from cli.show import show_services

    show_services(service)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - a command takes what its line takes
    policy: Policy,
    rps: Rate = 50.0,
    errors: Errors = 0.01,
    latency: Latency = 100.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="What a bad candidate has: errors=.01 (added), slowdown=1.2, guardrails=, "
            "negatives=, costs= or values= (times as much). Again for more."
        ),
    ] = None,
    onset: Annotated[float, typer.Option(help="Minutes until it turns bad.")] = 0.0,
    incident: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="Both arms fail: from minute, for minutes, at rate."),
    ] = None,
    drift: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="Both arms' errors move: from minute, for minutes, to rate."),
    ] = None,
    clustering: Annotated[
        float, typer.Option(help="Spread of the error rate from block to block.")
    ] = 0.0,
    apart: Annotated[bool, typer.Option(help="Each arm has bursts of its own.")] = False,
    users: UserCount = 0,
    balance: Annotated[bool, typer.Option(help="Shadow balance chooses the salt.")] = True,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            help="Champion's guardrails=, feedbacks=, negatives=, cost_spread=, valued= or value=."
        ),
    ] = None,
    runs: Annotated[int, typer.Option(help="Rollouts each.", min=10)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn.", min=0)] = 1,
    traffic: Annotated[str, typer.Option(help="CSV: block, n_c, k_c, n_b, k_b.")] = "",
    plot: Annotated[str, typer.Option(help="PNG to draw.")] = "",
) -> None:
    """Simulate whole rollouts: how often a policy rolls back, misses and holds, and how soon."""
    from cli.simulate import simulate_policy
    from cli.traffic import TrafficOptions

    wishes = TrafficOptions(
        rps, errors, latency, clustering, apart, users, balance, incident, drift
    )
    wishes = replace(wishes, signals=signal or ())
    simulate_policy(policy, wishes, (fault or (), onset), (runs, seed), (traffic, plot))


@app.command()
def feasible(  # noqa: PLR0913, PLR0917 - a command takes what its line takes
    service: Service,
    rps: Rate,
    policy: Annotated[str, typer.Option(help="Name or path; else the service's own.")] = "",
    errors: Errors = 0.01,
    latency: Latency = 100.0,
    users: UserCount = 0,
    signal: Annotated[
        list[str] | None,
        typer.Option(help="Of the business metric: valued= (share of requests), value= (caps)."),
    ] = None,
    runs: Annotated[int, typer.Option(help="Rollouts.", min=10)] = 400,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn.", min=0)] = 1,
) -> None:
    """Say whether each stage of a service's rollout can conclude, and what to change if not."""
    from cli.simulate import show_feasibility
    from cli.traffic import TrafficOptions

    wishes = TrafficOptions(rps, errors, latency, users=users, signals=signal or ())
    sys.exit(show_feasibility(service, policy, wishes, (runs, seed)))


@app.command()
def doctor() -> None:
    """Examine Python, ports, disk and versions, and say what to do about each."""
    from cli.show import show_findings

    sys.exit(show_findings())


app.add_typer(steering.commands)


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Prefect's port, or the next free one.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="MLflow's port, or the next free one.")] = 5000,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at once.")] = 4,
    gateway_port: Annotated[int, typer.Option(help="The gateway's, or the next free.")] = 8080,
    page_port: Annotated[int, typer.Option(help="The rollout page's, or the next.")] = 8090,
) -> None:
    """Start server, worker, gateway and pages, deploy deployments.yaml, until Ctrl-C."""
    from cli.stack import keep_stack

    sys.exit(keep_stack((port, mlflow_port, limit, gateway_port, page_port)))


app.command()(serve)
app.command()(page)
app.command()(log_writer)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def replay(context: typer.Context) -> None:
    """Send a service's held-out rows to its gateway as users would; labels follow."""
    os.execv(sys.executable, [sys.executable, "-m", "demo.replay", *context.args])  # noqa: S606


@app.command()
def ui() -> None:
    """Serve the Prefect and MLflow pages until Ctrl-C."""
    from cli.show import serve_pages

    serve_pages()


def main() -> None:
    """Run a command; one of our errors ends it with its message and its exit code."""
    try:
        app()
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        sys.exit(exit_code(type(error).__name__))


if __name__ == "__main__":
    main()
