"""Commands about refused batches: quarantine list, accept, drop."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.arguments import check_service
from cli.direct import check_author
from cli.options import AsJson, By, Reason, Service
from cli.output import report_waiting, say, show_rows
from sluice.home import environment_name, find_home

if TYPE_CHECKING:
    from sluice.data.batches.quarantine import QuarantinedBatch

PANEL = "Data"
WHO = "--by NAME --reason WORDS"
Batch = Annotated[str, typer.Argument(help="Beginning of the batch's name in the list.")]
commands = typer.Typer()
group = typer.Typer(no_args_is_help=True)
commands.add_typer(
    group,
    name="quarantine",
    rich_help_panel=PANEL,
    help="List the batches that the data gate refused; accept or drop one.",
)


@group.command("list")
def list_refused(service: Service, as_json: AsJson = False) -> None:
    """List a service's refused batches, oldest first, and what was decided about each."""
    show_quarantine(service, as_json)


@group.command()
def accept(
    service: Service,
    batch: Batch,
    by: By,
    reason: Reason,
    good_rows: Annotated[
        bool, typer.Option("--good-rows", help="Leave the bad rows in quarantine.")
    ] = False,
) -> None:
    """Append a refused batch to the data; its rows no longer break the rules that refused it."""
    accept_here(service, batch, by, reason, good_rows)


@group.command()
def drop(service: Service, batch: Batch, by: By, reason: Reason) -> None:
    """Decide that a refused batch stays out; its rows and the decision are kept."""
    drop_here(service, batch, by, reason)


def show_quarantine(service: str, as_json: bool) -> None:
    """Print a service's refused batches.

    Raises:
        ServiceUnknown: no configuration carries the name.
        DataInvalid: a file of a batch is damaged.
        DataUnavailable: the quarantine cannot be reached.
    """
    check_service(service)
    from sluice.adapters.tables.quarantine import list_quarantined

    found = list_quarantined(find_home().quarantine(service))
    rows = [_describe(item) for item in found]
    if as_json:
        import json

        say(json.dumps(rows, indent=2))
        return
    if not rows:
        say(f"{service}: no batch was refused")
        return
    show_rows(f"Refused batches of {service}", rows)
    if any(item.state in ("waiting", "interrupted") for item in found):
        say(f"sluice quarantine accept {service} BATCH {WHO} [--good-rows]")
        say(f"sluice quarantine drop {service} BATCH {WHO}")


def accept_here(service: str, batch: str, by: str, reason: str, good_rows: bool) -> None:
    """Accept a refused batch, without Prefect; `watch` announces the new data version.

    Raises:
        Refused: the batch cannot be accepted.
        Fault: the table or the control store cannot be reached.
    """
    author = check_author(service, "quarantine accept", by, reason)
    from sluice.adapters.control.store import prepare_control
    from sluice.config.loading import load_service
    from tasks.data.quarantine import accept_batch

    config = load_service(service, environment_name())
    check_batch(service, batch)
    with report_waiting("appending the rows"):
        effect = accept_batch(prepare_control(), config, batch, author, good_rows)
    say(f"{service}: {effect.message}")
    say(f"next       sluice release {service}, or `watch` announces the version")


def drop_here(service: str, batch: str, by: str, reason: str) -> None:
    """Drop a refused batch, without Prefect.

    Raises:
        Refused: the batch cannot be dropped.
        Fault: the quarantine or the control store cannot be reached.
    """
    author = check_author(service, "quarantine drop", by, reason)
    from sluice.adapters.control.store import prepare_control
    from sluice.config.loading import load_service
    from tasks.data.quarantine import drop_batch

    config = load_service(service, environment_name())
    check_batch(service, batch)
    effect = drop_batch(prepare_control(), config, batch, author)
    say(f"{service}: {effect.message}")


def check_batch(service: str, batch: str) -> None:
    """Refuse a batch that is not in quarantine, before anything is created.

    Raises:
        CommandRefused: no batch, or more than one, begins so.
        DataUnavailable: the quarantine cannot be reached.
    """
    from sluice.adapters.tables.quarantine import find_quarantined

    find_quarantined(find_home().quarantine(service), batch)


def _describe(item: "QuarantinedBatch") -> dict[str, str]:
    decision = item.decision
    return {
        "batch": item.short_name,
        "refused": f"{item.refused_at:%Y-%m-%d %H:%M}",
        "rows": f"{item.rows:,}",
        "bad rows": f"{item.bad_rows:,}",
        "state": item.state,
        "by": decision.by if decision else "",
        "why": decision.reason if decision else item.reason,
        "source": item.source,
    }
