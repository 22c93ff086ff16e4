"""A Prefect server over HTTP: its health, its state folder, and its flow runs."""

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sluice.documents import parse_json

ANSWER_SECONDS = 15.0
"""Time for an answer from a database that may be busy."""
BUSY = (429, 503)
PAUSE_SECONDS = 0.5
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def ask_server(
    url: str, body: Any = None, method: str = "", seconds: float = ANSWER_SECONDS, login: str = ""
) -> tuple[int, Any]:
    """Return status and JSON; status 0 without an answer, None where it was not JSON.

    Without a body it is a GET, with one a POST, unless `method` is given. A request to a server
    that is too busy (its database is locked) is repeated, for `seconds` in all. Without a `login`,
    `user:password`, the environment's is sent.
    """
    deadline = time.monotonic() + seconds
    answer = _ask_once(url, body, method, seconds, login)
    while answer[0] in BUSY and time.monotonic() + PAUSE_SECONDS < deadline:
        time.sleep(PAUSE_SECONDS)
        answer = _ask_once(url, body, method, seconds, login)
    return answer


def _ask_once(url: str, body: Any, method: str, seconds: float, login: str) -> tuple[int, Any]:
    direct = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
    request = urllib.request.Request(  # noqa: S310
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **_authorize(login)},
        method=method or ("GET" if body is None else "POST"),
    )
    try:
        with urllib.request.build_opener(*direct).open(request, timeout=seconds) as answer:
            text = answer.read()
            return answer.status, parse_json(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None
    except ValueError:
        return 200, None
    except (OSError, http.client.HTTPException):  # the port may be another program's
        return 0, None


def _authorize(login: str) -> dict[str, str]:
    """Return the header of a login, or of the environment's, in the order of Prefect's client."""
    if pair := login or os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    return {}


HEALTH_SECONDS = 3.0
REFUSED = (401, 403)


def is_healthy(api: str) -> bool:
    """Whether a Prefect API answers at the address; asking for credentials is an answer."""
    status, body = ask_server(f"{api}/health", seconds=HEALTH_SECONDS)
    return (status == 200 and body is True) or status in REFUSED


def is_refused(api: str) -> bool:
    """Whether the server at the address refuses the environment's login or key."""
    return ask_server(f"{api}/admin/version", seconds=HEALTH_SECONDS)[0] in REFUSED


def is_of_home(api: str, prefect_home: Path, login: str) -> bool:
    """Whether the server at the address takes the login and keeps its state in the folder."""
    _, body = ask_server(f"{api}/admin/settings", seconds=HEALTH_SECONDS, login=login)
    found = body.get("home", "") if isinstance(body, dict) else ""
    return bool(found) and Path(found).resolve() == prefect_home.resolve()


POOL = "sluice"
BEGUN = ("PENDING", "RUNNING", "CANCELLING")
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@dataclass(frozen=True)
class FlowRun:
    """One flow run: its name, the type of its state, such as RUNNING, and its worker's name."""

    id: str
    name: str
    state: str
    worker: str

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL


def find_unfinished(api: str) -> list[FlowRun]:
    """Return the pool's runs that began and have not ended; none if the server is away."""
    filters = {
        "flow_runs": {"state": {"type": {"any_": list(BEGUN)}}},
        "work_pools": {"name": {"any_": [POOL]}},
    }
    _, found = ask_server(f"{api}/flow_runs/filter", filters)
    return [_read(item) for item in found or []]


def read_run(api: str, run: str) -> FlowRun | None:
    """Return a flow run as it is now; None if the server does not answer."""
    status, found = ask_server(f"{api}/flow_runs/{run}")
    return _read(found) if status == 200 and found else None


def request_cancellation(api: str, run: FlowRun, reason: str) -> None:
    """Request that a run is cancelled; the worker that runs it does so."""
    _set_state(api, run, "CANCELLING", "Cancelling", reason, force=False)


def mark_crashed(api: str, run: FlowRun, reason: str) -> None:
    """Set a run whose process is gone to Crashed, so that it does not seem to run for ever."""
    _set_state(api, run, "CRASHED", "Crashed", reason, force=True)


def _set_state(api: str, run: FlowRun, kind: str, name: str, reason: str, *, force: bool) -> None:
    state = {"type": kind, "name": name, "message": reason}
    ask_server(f"{api}/flow_runs/{run.id}/set_state", {"state": state, "force": force})


def _read(found: dict[str, Any]) -> FlowRun:
    worker = (found.get("labels") or {}).get("prefect.worker.name", "")
    return FlowRun(found["id"], found["name"], found.get("state_type") or "", worker)
