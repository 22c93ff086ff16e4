"""Commands about signatures: sign, keys."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import By, Reason, Service
from cli.output import say, show_rows
from sluice.errors import CommandRefused
from sluice.home import environment_name, find_home

PANEL = "Run and deploy"
ACTIONS = ("list", "rotate", "trust", "remove")
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def sign(
    service: Service,
    version: Annotated[int, typer.Argument(min=1, help="The version that you vouch for.")],
    by: By,
    reason: Reason,
) -> None:
    """Examine the files of a version from before, and sign them."""
    from sluice.config.loading import load_service
    from tasks.security.signing import sign_version

    load_service(service, environment_name())
    done = sign_version(service, version, by, reason)
    say(f"{service} v{version} is signed with key {done.key} by {done.by}: {done.reason}")
    for file, digest in sorted(done.files.items()):
        say(f"  {digest[:16]}  {file}")


@commands.command(rich_help_panel=PANEL)
def keys(
    action: Annotated[str, typer.Argument(help="list, rotate, trust or remove.")] = "list",
    key: Annotated[
        str, typer.Argument(help="trust: a PEM file with a public key; remove: a key's id.")
    ] = "",
) -> None:
    """Show the environment's keys, make a new one, or change which are trusted."""
    change_keys(action, key)


def change_keys(action: str, key: str) -> None:
    """Do what was asked with the environment's keys, and print those that are trusted.

    Raises:
        CommandRefused: the action is not known, needs a key, or the key cannot be removed.
        DataMissing: there is no such file.
        DataInvalid: a file is no key.
    """
    from sluice.adapters.security.keys import KeyRing

    if action not in ACTIONS:
        raise CommandRefused(f"keys: found '{action}'; allowed: {', '.join(ACTIONS)}")
    if action in ("trust", "remove") and not key:
        raise CommandRefused(f"keys {action}: needs a key: `sluice keys {action} KEY`")
    ring = KeyRing(find_home().keys(environment_name()))
    if action == "rotate":
        before, now = ring.rotate()
        also = f"; {before} stays trusted until `sluice keys remove {before}`" if before else ""
        say(f"key {now} signs from now on{also}")
    elif action == "trust":
        say(f"key {ring.trust(Path(key))} is trusted")
    elif action == "remove":
        ring.remove(key)
        say(f"key {key} is trusted no longer: what it signed is refused")
    signs, known = ring.find_signing(), ring.list_trusted()
    rows = [{"key": item, "signs": "yes" if item == signs else ""} for item in known]
    if rows:
        show_rows(f"Trusted keys of {environment_name()} in {ring.folder}", rows)
    else:
        say(f"no key yet in {ring.folder}: the first release makes one")
