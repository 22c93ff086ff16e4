"""Asking a Prefect server over HTTP whether it is there, and whose it is."""

from pathlib import Path

from sluice.adapters.server.api import ask_server

ANSWER_SECONDS = 3.0
REFUSED = (401, 403)


def is_healthy(api: str) -> bool:
    """Whether a Prefect API answers at the address; one that asks for credentials does."""
    status, body = ask_server(f"{api}/health", seconds=ANSWER_SECONDS)
    return (status == 200 and body is True) or status in REFUSED


def is_of_home(api: str, prefect_home: Path) -> bool:
    """Whether the server at the address keeps its state in the folder."""
    status, body = ask_server(f"{api}/admin/settings", seconds=ANSWER_SECONDS)
    if status in REFUSED:
        return True
    found = body.get("home", "") if isinstance(body, dict) else ""
    return bool(found) and Path(found).resolve() == prefect_home.resolve()
