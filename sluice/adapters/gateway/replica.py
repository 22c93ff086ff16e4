"""One replica of the gateway over HTTP: every answer in time, or in words why there is none."""

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

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
        return self._ask("/v1/counters", seconds)

    def smoke_candidate(self, service: str, seconds: float) -> Reply:
        """Have it ask the service's candidate its fixed records."""
        return self._ask(f"/v1/models/{service}:smoke", seconds)

    def _ask(self, path: str, seconds: float) -> Reply:
        try:
            connection = self._connect(seconds)
            try:
                headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                text = answer.read(LARGEST)
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            return f"no answer: {error or type(error).__name__}"
        if answer.status != OK:
            return f"{path} answers {answer.status}"
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
