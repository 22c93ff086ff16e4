"""A traffic log written by the real log-writer, from records of the past."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from serving.log.log_writer import LogShipper
from serving.log.records import Answer, Feedback, Record
from sluice.config.serving import TrafficLogConfig
from sluice.home import Home
from support.gateway.records import begin_worker, make_answer

CONFIG = TrafficLogConfig(batch_rows=1000, flush_seconds=10)
PERSON = b'{"age": 40, "education": "bachelor", "marital_status": "married", "disability": false}'


class TrafficWriter:
    """Appends records to a state folder's traffic log."""

    def __init__(self, home: Home, replica: str = "a") -> None:
        self._home, self._replica = home, replica
        self._runs = self._requests = 0

    def write(self, records: Sequence[Record]) -> None:
        """Log records: a worker run of their own, read to its end."""
        self._runs += 1
        worker = begin_worker(self._home.serving / self._replica, str(self._runs), 1 << 22)
        worker.write(records)
        worker.snapshot()
        LogShipper(self._home, CONFIG).ship(records[-1].at, all_of_it=True)
        worker.die()

    def answer(self, start: datetime, requests: int, **facts: Any) -> None:
        """Log requests that were answered one a second from a time on."""
        self.write([self.make(start, second, **facts) for second in range(requests)])

    def make(self, start: datetime, second: float = 0.0, **facts: Any) -> Answer:
        """Return the record of one request."""
        self._requests += 1
        values = {"inputs": PERSON, **facts, "at": start.timestamp() + second}
        return make_answer(self._requests, **values)

    def label(self, at: datetime, service: str = "employment") -> None:
        """Log one label that arrived."""
        self.write([Feedback("r1", at.timestamp(), "1", service=service)])
