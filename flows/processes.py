"""Commands that are another program of ours: it takes this process's place, so signals reach it."""

import os
import sys
from typing import Annotated, NoReturn

import typer


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
    become("serving.log_writer")


def become(module: str, *words: str) -> NoReturn:
    """Run a module of ours in this process's place."""
    os.execv(sys.executable, [sys.executable, "-m", module, *words])  # noqa: S606
