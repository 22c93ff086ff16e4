"""Asking a Prefect server over HTTP whether it is there, and whose it is."""

import base64
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 3.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REFUSED = (401, 403)


def is_healthy(api: str) -> bool:
    """Whether a Prefect API answers at the address; one that asks for credentials does."""
    status, body = _get(f"{api}/health")
    return (status == 200 and body is True) or status in REFUSED


def is_of_home(api: str, prefect_home: Path) -> bool:
    """Whether the server at the address keeps its state in the folder."""
    status, body = _get(f"{api}/admin/settings")
    if status in REFUSED:
        return True
    found = body.get("home", "") if isinstance(body, dict) else ""
    return bool(found) and Path(found).resolve() == prefect_home.resolve()


def _get(url: str) -> tuple[int, Any]:
    """Give status and JSON; status 0 where nobody answered, None where it was not JSON."""
    direct = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
    request = urllib.request.Request(url, headers=_authorize())  # noqa: S310
    try:
        with urllib.request.build_opener(*direct).open(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None
    except ValueError:
        return 200, None
    except OSError:
        return 0, None


def _authorize() -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}
