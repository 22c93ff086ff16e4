"""Commands about advisories: audit, advisories."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.output import say, show_rows
from sluice.errors import CommandRefused
from sluice.home import environment_name, find_home

PANEL = "Run and deploy"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def audit(
    again: Annotated[
        bool, typer.Option("--again/--kept", help="Ask again, or show the last answer.")
    ] = True,
) -> None:
    """Look every locked package up for known vulnerabilities; releases use the answer."""
    show_audit(again)


def show_audit(again: bool) -> None:
    """Look the lock up, or take the last answer, and print what a release would say of it.

    Raises:
        Exit: a release would stop; the exit code is 1.
        ConfigInvalid: the configuration of the security gate is wrong.
    """
    from sluice.adapters.security.audits import audit_lock
    from sluice.config.security.exceptions import load_exceptions
    from sluice.config.security.gate import load_security
    from sluice.gates.security import SecurityGate
    from sluice.home import LOCK
    from sluice.security.evidence import SecretScan, SecurityEvidence

    config, now = load_security(environment_name()), datetime.now(UTC)
    found = audit_lock(find_home(), config.advisories, LOCK, now, again)
    gate = SecurityGate(config, load_exceptions().exceptions)
    # Only the lock is looked at: an empty search and no model have nothing to find.
    verdict = gate.judge(SecurityEvidence(found, SecretScan(), None, "", False, now))
    rows = [
        {
            "package": item.package,
            "version": item.version,
            "advisory": " ".join(item.ids[:2]),
            "repaired by": ", ".join(item.fixed),
        }
        for item in found.vulnerabilities
    ]
    if rows:
        show_rows("Known vulnerabilities of requirements.lock", rows)
    done = 0 if found.missing else found.packages - len(found.unaudited or {})
    say(f"{found.source}: {done} packages looked up, {len(rows)} known vulnerabilities")
    for notice in verdict.notices:
        say(notice)
    if not verdict.passed:
        say(f"a release stops: {verdict.message}")
        raise typer.Exit(1)


@commands.command(rich_help_panel=PANEL)
def advisories(
    archive: Annotated[Path, typer.Argument(help="OSV's export of an index, such as all.zip.")],
    whole_index: Annotated[str, typer.Option(help="The index that it covers whole: PyPI.")],
    date: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The day of the export, 2026-11-30.")
    ],
) -> None:
    """Take over a snapshot of advisories, for releases without a network."""
    label_archive(archive, whole_index, date)


def label_archive(archive: Path, whole_index: str, date: datetime) -> None:
    """Check an archive of advisories and keep it with what a person says of it.

    Raises:
        CommandRefused: the index is not known, or the day is yet to come.
        DataMissing: there is no such file.
        DataInvalid: it is no archive of advisories.
    """
    from sluice.adapters.security.audits import find_snapshot
    from sluice.adapters.security.snapshot import take_snapshot
    from sluice.config.security.gate import load_security
    from sluice.security.advisories import ECOSYSTEM

    if whole_index != ECOSYSTEM:
        raise CommandRefused(f"--whole-index: found '{whole_index}'; allowed: {ECOSYSTEM}")
    if date.date() > datetime.now(UTC).date():
        raise CommandRefused(f"--date: found {date:%Y-%m-%d}; allowed: a day that has begun")
    config = load_security(environment_name()).advisories
    target = find_snapshot(find_home(), config)
    label = take_snapshot(archive, target, whole_index, date.date())
    say(f"{target}: {label.advisories:,} advisories of {label.index}, of {label.date}")
    if config.source != "snapshot":
        say(f"advisories.source is `{config.source}`: set it to `snapshot` to use this file")
