"""Commands that start a process that stays up, and deploy: up, serve, page, replay, demo ..."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from cli.output import note_ready, report, report_waiting, say
from sluice.errors import ServerUnavailable, SluiceError
from sluice.home import PROJECT, find_home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.adapters.server.background import ShutdownSignals
    from sluice.adapters.server.record import StackRecord
    from sluice.adapters.server.stack import StackOptions

PANEL = "Run and deploy"
MAX_PORT = 65535
PORT: dict[str, Any] = {"min": 1, "max": MAX_PORT}
DEPLOYMENTS = PROJECT / "deployments.yaml"
FaultName = Literal[
    "data",
    "leakage",
    "bias",
    "worse",
    "errors",
    "latency",
    "worse_live",
    "bad",
    "budget",
    "edited",
    "unsafe",
    "dear",
    "silent",
]
PROMPT_FAULTS = ("bad", "budget", "edited", "unsafe", "dear", "silent")
"""Faults of the demonstration of prompts."""
Port = Annotated[int, typer.Option(help="Port; 0: as configured.", min=0, max=MAX_PORT)]
Host = Annotated[str, typer.Option(help="Address to listen at; else as configured.")]
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def up(
    port: Annotated[int, typer.Option(help="Prefect's port, or the next free.", **PORT)] = 4200,
    mlflow_port: Annotated[
        int, typer.Option(help="MLflow's port, or the next free.", **PORT)
    ] = 5000,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at once.")] = 4,
    gateway_port: Annotated[
        int, typer.Option(help="The gateway's, or the next free.", **PORT)
    ] = 8080,
    page_port: Annotated[int, typer.Option(help="The status page's, or the next.", **PORT)] = 8090,
) -> None:
    """Start server, worker, gateway and pages, deploy deployments.yaml, until Ctrl-C."""
    from sluice.adapters.server.stack import StackOptions

    sys.exit(keep_stack(StackOptions(port, mlflow_port, limit, gateway_port, page_port)))


@commands.command(rich_help_panel=PANEL)
def ui() -> None:
    """Serve the Prefect and MLflow pages until Ctrl-C."""
    serve_pages()


@commands.command(rich_help_panel=PANEL)
def serve(
    port: Port = 0,
    host: Host = "",
    workers: Annotated[int, typer.Option(help="Processes; 0: as configured.", min=0)] = 0,
    replica: Annotated[str, typer.Option(help="Name, unique on this machine.")] = "gateway",
    alone: Annotated[
        bool, typer.Option("--alone", help="No fetcher, no log-writer: another replica has them.")
    ] = False,
) -> None:
    """Answer requests with the champions, and candidates under rollout; Ctrl-C drains and ends."""
    given = {"--port": port, "--host": host, "--workers": workers, "--replica": replica}
    become("serving", given, *(["--no-fetcher", "--no-log-writer"] if alone else []))


@commands.command(rich_help_panel=PANEL)
def page(port: Port = 0, host: Host = "") -> None:
    """Serve the status page, with buttons for users who have a key, until Ctrl-C."""
    become("serving.page", {"--port": port, "--host": host})


@commands.command(rich_help_panel=PANEL)
def log_writer() -> None:
    """Move records from the gateways' spools to the traffic log, until Ctrl-C."""
    become("serving.log.log_writer", {})


@commands.command(rich_help_panel=PANEL)
def housekeeping() -> None:
    """Look for watch and keeper on their schedules, until Ctrl-C; `sluice up` starts it."""
    from cli.housekeeping import keep_house

    keep_house(DEPLOYMENTS)


@commands.command(
    rich_help_panel=PANEL,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def replay(context: typer.Context) -> None:
    """Send a service's held-out rows to its gateway as users would; labels follow."""
    become("demo.replay", {}, *context.args)


@commands.command(rich_help_panel=PANEL)
def deploy(
    file: Annotated[str, typer.Option(help="What to deploy; else deployments.yaml.")] = "",
    prune: Annotated[bool, typer.Option(help="Remove what left the file.")] = False,
) -> None:
    """Apply deployments.yaml to the Prefect server that PREFECT_API_URL names."""
    deploy_here(file, prune)


@commands.command(rich_help_panel=PANEL)
def demo(
    fault: Annotated[
        FaultName | None,
        typer.Option(
            help="What goes wrong: errors, latency and worse_live on live traffic; bad, budget, "
            "edited, unsafe, dear and silent with --prompts."
        ),
    ] = None,
    loop: Annotated[
        Literal["concept", "worse", "older", "older_retrain", "younger"] | None,
        typer.Option(help="Instead: live traffic changes, and the next release starts by itself."),
    ] = None,
    prompts: Annotated[
        bool, typer.Option("--prompts", help="Instead: versions of a prompt, with a local model.")
    ] = False,
    keep: Annotated[bool, typer.Option(help="Keep the UI up at the end, until Ctrl-C.")] = False,
) -> None:
    """Release the default service on real data, and roll its candidate out on replayed traffic."""
    check_one_story(fault, loop, prompts)
    if loop:
        become("demo.loop", {"--story": loop}, *(["--keep"] if keep else []))
    if prompts:
        become("demo.prompts", {"--fault": fault}, *(["--keep"] if keep else []))
    become("demo", {"--fault": fault}, *(["--keep"] if keep else []))


def check_one_story(fault: str | None, loop: str | None, prompts: bool) -> None:
    """Refuse two stories at once, and a fault that a story does not have.

    Raises:
        BadParameter: two stories are named, or a fault of another one.
    """
    if loop and prompts:
        raise typer.BadParameter(f"found --loop {loop} and --prompts; allowed: one of both")
    if fault and loop:
        raise typer.BadParameter(f"found --fault {fault} and --loop {loop}; allowed: one of both")
    if fault and prompts and fault not in PROMPT_FAULTS:
        allowed = ", ".join(PROMPT_FAULTS)
        raise typer.BadParameter(f"found --fault {fault}; allowed with --prompts: {allowed}")
    if fault in PROMPT_FAULTS and not prompts:
        raise typer.BadParameter(f"found --fault {fault}; allowed: only with --prompts")


def become(module: str, given: "Mapping[str, object]", *words: str) -> NoReturn:
    """Run a module of ours in this process's place, so that ending the command ends all of it.

    `given` are options by name; an empty value leaves its option out.
    """
    options = [word for name, value in given.items() if value for word in (name, str(value))]
    os.execv(sys.executable, [sys.executable, "-m", module, *options, *words])  # noqa: S606


def deploy_here(file: str, prune: bool) -> None:
    """Deploy a file, else ours, to the server of `PREFECT_API_URL` or of the state folder.

    Raises:
        ConfigInvalid: the file is wrong.
        ServerUnavailable: no server is named and the state folder's own is not up, or it does not
            answer.
        DeploymentRefused: a work pool is missing, or Prefect did not take a deployment.
    """
    from sluice.adapters.server.home_server import is_own, server_environment
    from sluice.adapters.server.record import read_stack
    from sluice.config.deployments import read_deployments

    chosen = Path(file).resolve() if file else DEPLOYMENTS
    read_deployments(chosen)
    home = find_home()
    os.environ.update(server_environment(home))
    if not os.environ.get("PREFECT_API_URL"):
        raise ServerUnavailable(
            "no Prefect server to deploy to: PREFECT_API_URL names none and this state folder's own"
            " is not up; next: set it, or keep `sluice up` running meanwhile"
        )
    home.prefect.mkdir(parents=True, exist_ok=True)  # Prefect warns where it is missing
    from prefect.settings import PREFECT_UI_URL

    from tasks.deploy.deployments import deploy_file

    quiet = read_stack(home) is not None and is_own(home, os.environ["PREFECT_API_URL"])
    with report_waiting("deploying"):
        names = deploy_file(chosen, say, prune, quiet=quiet)
    say(f"{len(names)} deployments at {PREFECT_UI_URL.value()}/deployments")


def keep_stack(options: "StackOptions") -> int:
    """Keep the local stack of the state folder up until a signal ends it; return the exit code.

    If it is up already, its addresses are printed and nothing else happens.

    Raises:
        ConfigInvalid: `SLUICE_LOG`, which its parts read, is wrong.
        ServerUnavailable: a part does not come up, or ends again and again.
        Fault: the registry cannot be made ready, or the deployments are not taken.
    """
    from sluice.adapters.server.background import ShutdownSignals
    from sluice.adapters.server.stack import claim_stack
    from sluice.adapters.telemetry.log_output import find_sink

    find_sink()
    with ShutdownSignals() as signals:
        try:
            with claim_stack(find_home(), _report) as other:
                if other:
                    _report(f"the stack of this state folder is up already (process {other.pid})")
                    _report_addresses(other)
                    return 0
                _bring_up(options, signals)
        except KeyboardInterrupt:
            _report("ended")
    return signals.exit_code


def serve_pages() -> None:
    """Serve the Prefect and MLflow pages until Ctrl-C.

    Raises:
        ServerUnavailable: a server does not come up.
        Fault: the registry cannot be made ready.
    """
    from sluice.adapters.addresses import record_pages
    from sluice.adapters.server.parts import run_registry_pages
    from sluice.adapters.server.session import open_session

    home = find_home()
    with (
        report_waiting("starting the pages"),
        open_session(home, report) as api,
        run_registry_pages(home, report) as pages,
        record_pages(home, pages),
    ):
        say(f"Prefect  {api.removesuffix('/api')}")
        _report_login(api.removesuffix("/api"))
        say(f"MLflow   {pages}")
        say("Ctrl-C ends both")
        note_ready()
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            say("ending")


def _bring_up(options: "StackOptions", signals: "ShutdownSignals") -> None:
    from sluice.adapters.server.stack import run_stack

    with run_stack(find_home(), options, signals, _report) as stack:
        with report_waiting("starting the parts of the stack"):
            record = stack.start(_deploy)
        _report_addresses(record)
        _report("Ctrl-C ends all of it")
        stack.keep()


def _deploy() -> None:
    from sluice.adapters.server.home_server import is_own
    from tasks.deploy.deployments import deploy_file

    quiet = is_own(find_home(), os.environ["PREFECT_API_URL"])
    deploy_file(DEPLOYMENTS, _report, quiet=quiet)
    from tasks.prompts.watching import begin_watch

    try:
        begin_watch()
    except SluiceError as error:  # the first look takes them for known then, and says what is wrong
        _report(f"prompts: {error}")


def _report_addresses(record: "StackRecord") -> None:
    _report(f"Prefect  {record.prefect}")
    _report_login(record.prefect)
    _report(f"MLflow   {record.mlflow}")
    _report(f"gateway  {record.gateway}, log {Path(record.log).with_name('gateway.log')}")
    _report(f"status   {record.rollouts}")
    _report(f"worker   {record.worker}, at most {record.limit} flow runs at once, log {record.log}")


def _report_login(page: str) -> None:
    """Say where the login is, if the pages are those of the state folder's own server."""
    from sluice.adapters.server.process import read_record

    home = find_home()
    own = read_record(home)
    if own and own.api == f"{page}/api" and home.login_file.exists():
        _report(f"login    Prefect's pages ask once for the line in {home.login_file}")


def _report(line: str) -> None:
    """Print a line; a closed terminal must not stop the command before it ends its processes."""
    with suppress(OSError):
        report(line)
