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

    periods = read_periods(prepare_control(), service)
    if as_json:
        say(json.dumps([item.to_dict() for item in periods], indent=2))
        return
    if not periods:
        say(f"{service}: nothing has served yet")
        return
    show_rows(f"What served: {service}, newest first", list_rows(periods[:MOST]))
    if len(periods) > MOST:
        say(f"  and {len(periods) - MOST} older; `--json` has all of them")
