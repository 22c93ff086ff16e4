"""Counters against the log after 100,000 requests, with kill -9 of workers and log-writer between.

`python -m benchmarks.counters [--requests 100000] [--kills 5]`. Half of the traffic is a
candidate's that fails on a fifth of its rows. What must hold, exactly: each answer that a caller
got is in the log once, nothing is in it twice, and the counters are what the log adds up to.
"""

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.gateway import start_gateway
from benchmarks.load import MARK, write_requests
from benchmarks.processes import Server, run_load, run_server
from benchmarks.results import Row, report
from benchmarks.served import SERVICE, Served, prepare_home
from demo.faulty import register_faulty
from demo.faulty_graph import ModelFault
from flows.terminal import say
from sluice.home import Home, find_home

FAULT = ModelFault("errors", share=0.02, seed=3)
BATCH_SECONDS = 2.0
CONNECTIONS = 16
SHIPPED_SECONDS = 300.0
COLUMNS = ["request_id", "arm", "arm_version", "epoch", "failed", "fallback", "source", "position"]
COUNTED = ("requests", "failures", "fallbacks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=5, help="of workers, and of the log-writer")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SLUICE_HOME"] = str(Path(folder) / "home")
        served = prepare_home(find_home())
        served.register(Path(folder), SERVICE, "onnx")
        register_faulty(served.registry, served.config, served.rows, FAULT)
        answered, killed, statuses = drive(served, Path(folder), asked.requests, asked.kills)
        report("counters", judge(find_home(), answered, killed), {"statuses": dict(statuses)})


def drive(
    served: Served, folder: Path, wanted: int, kills: int
) -> tuple[list[bytes], int, Counter[str]]:
    """Load the gateway until enough was answered, killing as it goes; give the answered ids."""
    bodies = [
        f'{{"inputs":{record},"request_id":"{MARK}","unit":"u{place}"}}'
        for place, record in enumerate(served.held.records)
    ]
    requests = folder / "requests.txt"
    write_requests(requests, f"/v1/models/{SERVICE}:predict", bodies)
    route = served.set_route(SERVICE, 1, candidate=2, weight=0.5, mode="canary")
    answered: list[bytes] = []
    statuses: Counter[str] = Counter()
    killer = Killer(random.Random(5), kills)  # noqa: S311 - no secret hangs on it
    with ExitStack() as stack:
        stack.enter_context(served.renew(route))
        gateway, writer = start_gateway(stack, folder, workers=2)
        gateway.await_page(f"/v1/models/{SERVICE}:predict", bodies[0].replace(MARK, "first"))
        answered.append(b"first")
        first = 0
        while len(answered) < wanted:
            killer.plan(len(answered) / wanted, gateway, writer)
            found = run_load(
                gateway.port,
                requests,
                connections=CONNECTIONS,
                seconds=BATCH_SECONDS,
                ids=folder / "ids",
                first_id=first,
            )
            first += found["sent"]
            answered += (folder / "ids").read_bytes().split()
            statuses.update(found["statuses"])
            writer = killer.finish(stack, folder, writer)
            say(f"### {len(answered):,} answered, {killer.killed} killed, {dict(statuses)}")
    ship_rest(folder)
    return answered, killer.killed, statuses


class Killer:
    """Kills a worker in every so many batches, in the midst of one, and the log-writer with it."""

    def __init__(self, draw: random.Random, kills: int) -> None:
        self._draw, self._kills = draw, kills
        self.killed = 0
        self._timer: threading.Timer | None = None
        self._ends_writer = False

    def plan(self, progress: float, gateway: Server, writer: Server) -> None:
        """Kill within the next batch where it is time for the next one."""
        self._timer, self._ends_writer = None, False
        if (
            self._kills
            and self.killed < 2 * self._kills
            and 2 * self._kills * progress >= self.killed
        ):
            worker = self._draw.choice(gateway.find("serving.worker") or gateway.list_pids()[-1:])
            self._ends_writer = True
            after = self._draw.uniform(0.3, 0.8) * BATCH_SECONDS
            pids = [worker, writer.process.pid]
            self._timer = threading.Timer(after, self._kill, [pids])
            self._timer.start()

    def finish(self, stack: ExitStack, folder: Path, writer: Server) -> Server:
        """Start another log-writer for the one that was killed."""
        if self._timer is None:
            return writer
        self._timer.join()
        writer.process.wait()
        log = folder / f"log-writer-{self.killed}.log"
        return stack.enter_context(run_server(["-m", "serving.log_writer"], 0, log))

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            self.killed += 1


def ship_rest(folder: Path) -> None:
    """Let a last log-writer move what the others left, and end when it has."""
    home = find_home()
    with run_server(["-m", "serving.log_writer"], 0, folder / "last.log") as writer:
        lock = home.root / "traffic" / "log-writer.lock"
        limit = time.monotonic() + SHIPPED_SECONDS
        while not lock.exists() or lock.read_text() != str(writer.process.pid):
            if time.monotonic() > limit:
                raise RuntimeError((folder / "last.log").read_text()[-3000:])
            time.sleep(0.1)


def judge(home: Home, answered: list[bytes], killed: int) -> list[Row]:
    """Compare what callers got, what the log has, and what the counters say."""
    import pyarrow as pa
    from deltalake import DeltaTable

    table = pa.table(DeltaTable(str(home.answers(SERVICE))).to_pyarrow_table(COLUMNS))
    rows = table.to_pylist()
    logged = Counter(row["request_id"] for row in rows)
    missing = sum(request.decode() not in logged for request in answered)
    twice = sum(count - 1 for count in logged.values())
    counted, added = read_counters(home), add_up(rows)
    apart = sum(abs(counted[key] - added[key]) for key in set(counted) | set(added))
    for key in sorted(set(counted) | set(added), key=str):
        say(f"  {key}: counters {counted[key]:,}, log {added[key]:,}")
    return [
        Row("answered", len(answered), "requests"),
        Row("killed", killed, "processes"),
        Row("in the log", len(rows), "answers"),
        Row("answered and not in the log", missing, "requests", 0),
        Row("in the log twice", twice, "answers", 0),
        Row("counters apart from the log, all counts", apart, "", 0),
    ]


def read_counters(home: Home) -> Counter[Any]:
    """Give all replicas' counts by arm, version, epoch and what is counted."""
    from serving.counts import NO_STAGE
    from serving.replica import sum_counters

    found: Counter[Any] = Counter()
    for replica in home.serving.iterdir():
        if not (replica / "lives").is_dir():
            continue
        for key, counts in sum_counters(replica).counts.items():
            if key.service == SERVICE and key.stage == NO_STAGE:
                for name in COUNTED:
                    found[str(key.arm), key.version, key.epoch, name] += getattr(counts, name)
                answers = sum(counts.latencies.values())
                found[str(key.arm), key.version, key.epoch, "latencies"] += answers
    return found


def add_up(rows: list[dict[str, Any]]) -> Counter[Any]:
    """Give the same counts from the log's rows."""
    found: Counter[Any] = Counter()
    for row in rows:
        key = (row["arm"], row["arm_version"], row["epoch"])
        found[*key, "requests"] += 1
        found[*key, "failures"] += row["failed"]
        found[*key, "fallbacks"] += row["fallback"]
        found[*key, "latencies"] += not row["failed"]
    return found


if __name__ == "__main__":
    main()
