"""One replica of the gateway over HTTP: every answer in time, or in words why there is none."""

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from sluice.rollout.sighting import Reply

LARGEST = 64 << 20
"""Bytes of an answer that are read at most."""
OK = 200


class Replica:
    """One address of a gateway, such as `http://10.0.0.7:8080`; `key` where it asks for one."""

    def __init__(self, address: str, key: str = "") -> None:
        self.address = address.rstrip("/")
        self._key = key

    def read_counters(self, seconds: float) -> Reply:
        """Give the counters of all its workers, the routes it obeys and its breakers."""
        return self._ask("GET", "/v1/counters", None, seconds)

    def try_version(
        self, service: str, version: int, records: list[dict[str, Any]], seconds: float
    ) -> str:
        """Ask one version for fixed records; give in words what is wrong, empty where nothing is.

        No arm counts what is asked so.
        """
        path = f"/v1/models/{quote(service)}/versions/{version}:predict"
        reply = self._ask("POST", path, {"inputs": records}, seconds)
        if isinstance(reply, str):
            return f"{self.address}: {reply}"
        if reply.get("version") != version:
            return f"{self.address}: version {reply.get('version')} answered, not {version}"
        return ""

    def _ask(self, method: str, path: str, body: Any, seconds: float) -> Reply:
        try:
            connection = self._connect(seconds)
            try:
                headers = {"Content-Type": "application/json"}
                headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
                content = None if body is None else json.dumps(body)
                connection.request(method, path, content, headers)
                answer = connection.getresponse()
                text = answer.read(LARGEST)
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            return f"no answer: {error or type(error).__name__}"
        if answer.status != OK:
            return f"{method} {path} answers {answer.status}"
        return _read_object(text)

    def _connect(self, seconds: float) -> HTTPConnection:
        place = urlsplit(self.address)
        made = HTTPSConnection if place.scheme == "https" else HTTPConnection
        return made(place.hostname or "", place.port, timeout=seconds)


def _read_object(text: bytes) -> Reply:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "its answer is not JSON"
    return found if isinstance(found, dict) else "its answer is no object"
