"""What a person asks for between runs: who serves, whether this machine is fit, the pages."""

import time

from rich.console import Console
from rich.table import Table

from flows.terminal import say, show_verdicts
from sluice.config.loading import list_services
from sluice.errors import ServiceUnknown
from sluice.home import find_home

ALIASES = ("champion", "candidate", "previous")


def show_services(service: str) -> None:
    """Print each service's aliases, and the verdicts behind champion and candidate.

    Raises:
        ServiceUnknown: no configuration carries the name.
        Fault: the registry cannot be reached.
    """
    known = list_services()
    if service and service not in known:
        raise ServiceUnknown(f"no service '{service}'; known: {', '.join(known)}")
    from sluice.adapters.registry import open_registry
    from tasks.recording import read_verdicts

    registry = open_registry(find_home())
    registry.prepare()
    for name in [service] if service else known:
        found = {alias: registry.find_alias(name, alias) for alias in ALIASES}
        if not any(found.values()):
            say(f"{name}: nothing registered yet; `sluice release {name}` starts")
            continue
        table = Table(title=name, title_justify="left", title_style="bold", show_edge=False)
        for column in ("alias", "version", "data", "code", "release"):
            table.add_column(column)
        for alias, version in found.items():
            if version:
                tags = version.tags
                code = tags["sluice.code.commit"][:8]
                dirty = "+" if tags["sluice.code.dirty"] == "true" else ""
                data = f"v{tags['sluice.data.version']}, {int(tags['sluice.data.rows']):,} rows"
                table.add_row(
                    alias, f"v{version.version}", data, code + dirty, tags["sluice.release"]
                )
        Console().print(table)
        for alias in ("champion", "candidate"):
            version = found[alias]
            if service and version:
                say("")
                show_verdicts(f"Verdicts of the {alias}", read_verdicts(version.run_id))


def show_findings() -> int:
    """Print what the doctor found, with advice, and give the exit code."""
    from sluice.adapters.doctor import examine

    findings = examine(find_home())
    table = Table(show_edge=False)
    for column in ("", "what", "found", "wanted", "what to do"):
        table.add_column(column)
    for item in findings:
        mark = "[green]ok[/]" if item.ok else "[red]no[/]"
        table.add_row(mark, item.name, item.found, item.wanted, "" if item.ok else item.advice)
    Console().print(table)
    return 0 if all(item.ok for item in findings) else 1


def serve_pages() -> None:
    """Serve the Prefect and MLflow pages until Ctrl-C.

    Raises:
        ServerUnavailable: a server does not come up.
        Fault: the registry cannot be made ready.
    """
    from sluice.adapters.pages import run_registry_pages
    from sluice.adapters.session import open_session

    home = find_home()
    with open_session(home, say) as api, run_registry_pages(home, say) as pages:
        say(f"Prefect  {api.removesuffix('/api')}")
        say(f"MLflow   {pages}")
        say("Ctrl-C ends both")
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            say("ending")
