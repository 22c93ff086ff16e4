"""Commands that start what stays up: the local stack, the gateway, its pages; and deploy."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.output import say
from sluice.adapters.server.background import ShutdownSignals
from sluice.adapters.server.home_server import server_environment
from sluice.adapters.server.stack import StackRecord, claim_stack
from sluice.errors import ServerUnavailable
from sluice.home import PROJECT, find_home


def serve(
    port: Annotated[int, typer.Option(help="Port; 0: as configured.", min=0)] = 0,
    host: Annotated[str, typer.Option(help="Address to listen at; else as configured.")] = "",
    workers: Annotated[int, typer.Option(help="Processes; 0: as configured.", min=0)] = 0,
    replica: Annotated[str, typer.Option(help="Name, its own on this machine.")] = "gateway",
    alone: Annotated[
        bool, typer.Option("--alone", help="No fetcher, no log-writer: another replica has them.")
    ] = False,
) -> None:
    """Answer callers with the champions, and with what a rollout tries; Ctrl-C drains and ends."""
    given = {"--port": port, "--host": host, "--workers": workers, "--replica": replica}
    words = [word for name, value in given.items() if value for word in (name, str(value))]
    become("serving", *words, *(["--no-fetcher", "--no-log-writer"] if alone else []))


def page(
    port: Annotated[int, typer.Option(help="Port; 0: as configured.", min=0)] = 0,
    host: Annotated[str, typer.Option(help="Address to listen at; else as configured.")] = "",
) -> None:
    """Show rollouts as they go, with buttons for who has a key, until Ctrl-C."""
    given = {"--port": port, "--host": host}
    become(
        "serving.page",
        *(word for name, value in given.items() if value for word in (name, str(value))),
    )


def log_writer() -> None:
    """Move what gateways spooled to the traffic log, until Ctrl-C."""
    become("serving.log.log_writer")


def become(module: str, *words: str) -> NoReturn:
    """Run a module of ours in this process's place."""
    os.execv(sys.executable, [sys.executable, "-m", module, *words])  # noqa: S606


DEPLOYMENTS = PROJECT / "deployments.yaml"


def deploy_here(file: str, prune: bool) -> None:
    """Deploy a file, ours if none is named, to the server of `PREFECT_API_URL` or of the home.

    Raises:
        ConfigInvalid: the file is wrong.
        ServerUnavailable: no server is named and the home's own is not up, or it does not answer.
        DeploymentRefused: a work pool is missing, or Prefect did not take a deployment.
    """
    home = find_home()
    os.environ.update(server_environment(home))
    if not os.environ.get("PREFECT_API_URL"):
        raise ServerUnavailable(
            "no Prefect server to deploy to: PREFECT_API_URL names none and this home's own is not"
            " up; next: set it, or keep `sluice up` running meanwhile"
        )
    home.prefect.mkdir(parents=True, exist_ok=True)  # Prefect warns where it is missing
    from prefect.settings import PREFECT_UI_URL

    from tasks.deploy.deployments import deploy_file

    names = deploy_file(Path(file).resolve() if file else DEPLOYMENTS, say, prune)
    say(f"{len(names)} deployments at {PREFECT_UI_URL.value()}/deployments")


DEPLOYMENTS = PROJECT / "deployments.yaml"


def keep_stack(wishes: tuple[int, int, int, int, int]) -> int:
    """Keep the home's stack up until a signal ends it; give the exit code.

    `wishes` are the ports of Prefect and MLflow, how many flow runs at once, the ports of gateway
    and rollout page. Where it is up already, its addresses are printed and nothing else happens.

    Raises:
        ServerUnavailable: a part does not come up, or ends again and again.
        Fault: the registry cannot be made ready, or the deployments are not taken.
    """
    home = find_home()
    with ShutdownSignals() as signals:
        try:
            with claim_stack(home, _tell) as other:
                if other:
                    _tell(f"the stack of this home is up already (process {other.pid})")
                    _tell_addresses(other)
                    return 0
                _bring_up(wishes, signals)
        except KeyboardInterrupt:
            _tell("ended")
    return signals.exit_code


def _bring_up(wishes: tuple[int, int, int, int, int], signals: ShutdownSignals) -> None:
    from sluice.adapters.server.stack import StackOptions, run_stack

    with run_stack(find_home(), StackOptions(*wishes), signals, _tell) as stack:
        _tell_addresses(stack.start(_deploy))
        _tell("Ctrl-C ends all of it")
        stack.keep()


def _deploy() -> None:
    from tasks.deploy.deployments import deploy_file

    deploy_file(DEPLOYMENTS, _tell)


def _tell_addresses(record: StackRecord) -> None:
    _tell(f"Prefect  {record.prefect}")
    _tell(f"MLflow   {record.mlflow}")
    _tell(f"gateway  {record.gateway}, log {Path(record.log).with_name('gateway.log')}")
    _tell(f"rollouts {record.rollouts}")
    _tell(f"worker   {record.worker}, at most {record.limit} flow runs at once, log {record.log}")


def _tell(line: str) -> None:
    """Print a line; a terminal that was closed is no reason to leave processes behind."""
    with suppress(OSError):
        say(line)
