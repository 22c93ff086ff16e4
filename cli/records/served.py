"""Printing the history of production: who served when, and why."""

import json

from cli.arguments import check_known
from cli.output import say, show_rows

MOST = 30
"""How many periods are printed."""


def show_served(service: str, as_json: bool) -> None:
    """Print each version that served or was on trial, newest first.

    It is read from the control store alone; the registry may be away.

    Raises:
        ServiceUnknown: neither a configuration nor a prompt carries the name.
        Fault: the control store cannot be reached.
    """
    check_known(service)
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.served_history import read_periods
    from sluice.production.page import list_rows

    control = prepare_control()
    periods, route = read_periods(control, service), control.routes.find(service)
    if as_json:
        say(json.dumps([item.to_dict() for item in periods], indent=2))
        return
    known = next((item.version for item in periods if not item.on_trial), None)
    if route is None:
        say(f"{service}: nothing has served yet")
    elif route.champion != known:
        say(f"{service} v{route.champion} serves; since when is not on record")
    if not periods:
        return
    show_rows(f"What served: {service}, newest first", list_rows(periods[:MOST]))
    if len(periods) > MOST:
        say(f"  and {len(periods) - MOST} older; `--json` has all of them")
