"""Runs submitted to a Prefect server as its form submits them, and as its client does.

A form sends one request and does not try again. The client, `run_deployment(timeout=0)`, tries
again at 429, 502 and 503. Each submission carries its number, so that none is lost or doubled
unnoticed.
"""

import http.client
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from uuid import UUID

FORM, CLIENT = "form", "client"
THREADS = 8
"""Submissions at once: a few people and programs."""
ANSWER_SECONDS = 120.0


@dataclass(frozen=True)
class Submission:
    """One submission: its number, by what, what refused it (empty: accepted), its seconds."""

    number: int
    kind: str
    problem: str
    seconds: float
    retries: int = 0


class RetryCount(logging.Handler):
    """Counts the attempts that Prefect's client repeats, for each thread."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._counts: Counter[int] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record that says that another attempt will be made."""
        if "Another attempt will be made" in record.getMessage():
            self._counts[threading.get_ident()] += 1

    def take(self) -> int:
        """Return this thread's count, and begin again."""
        return self._counts.pop(threading.get_ident(), 0)


def post_form(api: str, deployment: UUID, number: int) -> str:
    """Submit once, as the form's page does; return what refused it, empty if it was accepted."""
    body = {
        "state": {"type": "SCHEDULED", "message": "Run from the Prefect UI with defaults"},
        "parameters": {"number": number},
    }
    login = os.environ.get("PREFECT_API_AUTH_STRING", "")
    request = urllib.request.Request(  # noqa: S310
        f"{api}/deployments/{deployment}/create_flow_run",
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Basic {b64encode(login.encode()).decode()}",
        },
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code}"
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def call_client(name: str, number: int) -> str:
    """Submit with Prefect's client; return what refused it, empty if it was accepted."""
    from prefect.deployments import run_deployment

    try:
        run_deployment(name, parameters={"number": number}, timeout=0, as_subflow=False)
    except Exception as error:  # the client has many, and each is a refusal
        return f"{type(error).__name__}: {error}".splitlines()[0].partition(" for url")[0]
    return ""


def submit_all(api: str, deployment: UUID, name: str, count: int, rate: float) -> list[Submission]:
    """Submit so many runs of a deployment, `flow/name`, at this rate per second, in turns."""
    retries = RetryCount()
    logger = logging.getLogger("prefect.client")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(retries)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False  # else each retry is printed
    began = time.monotonic()

    def submit(number: int) -> Submission:
        time.sleep(max(began + number / rate - time.monotonic(), 0.0))
        at = time.monotonic()
        if number % 2:
            problem = post_form(api, deployment, number)
            return Submission(number, FORM, problem, time.monotonic() - at)
        problem = call_client(name, number)
        return Submission(number, CLIENT, problem, time.monotonic() - at, retries.take())

    try:
        with ThreadPoolExecutor(THREADS) as threads:
            # Prefect's settings belong to a context, of which each thread needs a copy.
            sent = [threads.submit(copy_context().run, submit, item) for item in range(count)]
            return [one.result() for one in sent]
    finally:
        logger.removeHandler(retries)
        logger.setLevel(level)
        logger.propagate = propagate
