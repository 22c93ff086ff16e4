"""Asking a Prefect server over HTTP, with whatever credentials the environment holds."""

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 15.0
"""For an answer out of a database that may be busy."""
BUSY = (429, 503)
PAUSE_SECONDS = 0.5
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def ask_server(
    url: str, body: Any = None, method: str = "", seconds: float = ANSWER_SECONDS
) -> tuple[int, Any]:
    """Give status and JSON; status 0 where nobody answered, None where it was not JSON.

    Without a body it is a GET, with one a POST, unless `method` says otherwise. A server that is
    too busy (its database is locked) is asked again, for `seconds` in all.
    """
    deadline = time.monotonic() + seconds
    answer = _ask_once(url, body, method, seconds)
    while answer[0] in BUSY and time.monotonic() + PAUSE_SECONDS < deadline:
        time.sleep(PAUSE_SECONDS)
        answer = _ask_once(url, body, method, seconds)
    return answer


def _ask_once(url: str, body: Any, method: str, seconds: float) -> tuple[int, Any]:
    direct = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
    request = urllib.request.Request(  # noqa: S310
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **_authorize()},
        method=method or ("GET" if body is None else "POST"),
    )
    try:
        with urllib.request.build_opener(*direct).open(request, timeout=seconds) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None
    except ValueError:
        return 200, None
    except (OSError, http.client.HTTPException):  # the port may be another program's
        return 0, None


def _authorize() -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}
