"""Counters against the log after 100,000 requests, with kill -9 of workers and log-writer.

`python -m benchmarks.counters [--requests 100000] [--kills 5]`. Half of the traffic is a
candidate's that fails on some of its rows. It must hold exactly: each answer that a caller got is
in the log once, no record is in it twice, and the counters equal the sums of the log.

`python -m benchmarks.counters --seconds 180 [--every 3]` kills any process at random for so long,
the supervisor included, and measures how long a caller then waits for an answer.
"""

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.harness.killer import RandomKiller
from benchmarks.harness.load import MARK, write_requests
from benchmarks.harness.processes import Server, run_load
from benchmarks.harness.results import Row, report
from benchmarks.harness.served import SERVICE, Served, prepare_home
from benchmarks.serving import build_bodies, run_gateway
from cli.output import say
from demo.faulty import ModelFault, register_faulty
from sluice.home import Home, find_home

FAULT = ModelFault("errors", share=0.02, seed=3)
BATCH_SECONDS = 2.0
CONNECTIONS = 16
RPS, WAIT_SECONDS = 200.0, 2.0
COLUMNS = ["request_id", "arm", "arm_version", "epoch", "failed", "fallback"]
COUNTED = ("requests", "failures", "fallbacks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=5, help="of workers, and of the log-writer")
    parser.add_argument("--seconds", type=float, default=0.0, help="kill at random for so long")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two such kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SLUICE_HOME"] = str(Path(folder) / "home")
        served = prepare_home(find_home())
        served.register(Path(folder), SERVICE, "onnx")
        register_faulty(served.registry, served.config, served.rows, FAULT)
        if arguments.seconds:
            killer, ids, statuses = kill_at_random(
                served, Path(folder), arguments.seconds, arguments.every
            )
            rows = compare(find_home(), ids, sum(killer.kills.values()))
            longest = sorted(killer.waits, reverse=True)[:5]
            rows.append(Row("longest wait after a kill", longest[0][0], "s", WAIT_SECONDS))
            notes = {"statuses": dict(statuses), "kills": killer.kills, "longest": longest}
            report("kills", rows, notes)
            return
        answered, killed, statuses = drive(
            served, Path(folder), arguments.requests, arguments.kills
        )
        report("counters", compare(find_home(), answered, killed), {"statuses": dict(statuses)})


def drive(
    served: Served, folder: Path, wanted: int, kills: int
) -> tuple[list[bytes], int, Counter[str]]:
    """Load the gateway until enough was answered, with kills; return the answered ids."""
    bodies = build_bodies(served)
    requests = folder / "requests.txt"
    write_requests(requests, f"/v1/models/{SERVICE}:predict", bodies)
    route = served.set_route(SERVICE, 1, candidate=2, weight=0.5, mode="canary")
    answered: list[bytes] = []
    statuses: Counter[str] = Counter()
    killer = Killer(random.Random(5), kills)  # noqa: S311 - no secret hangs on it
    with served.renew(route), run_gateway(folder, workers=2) as gateway:
        gateway.await_page(f"/v1/models/{SERVICE}:predict", bodies[0].replace(MARK, "first"))
        answered.append(b"first")
        first = 0
        while len(answered) < wanted:
            timer = killer.plan(len(answered) / wanted, gateway)
            found = run_load(
                gateway.port,
                requests,
                connections=CONNECTIONS,
                seconds=BATCH_SECONDS,
                ids=folder / "ids",
                first_id=first,
            )
            if timer:
                timer.join()
            first += found["sent"]
            answered += (folder / "ids").read_bytes().split()
            statuses.update(found["statuses"])
            say(f"### {len(answered):,} answered, {killer.killed} killed, {dict(statuses)}")
    return answered, killer.killed, statuses


def kill_at_random(
    served: Served, folder: Path, seconds: float, every: float
) -> tuple[RandomKiller, list[bytes], Counter[str]]:
    """Load the gateway for so long while its processes are killed; return the answered ids."""
    bodies, path = build_bodies(served), f"/v1/models/{SERVICE}:predict"
    requests = folder / "requests.txt"
    write_requests(requests, path, bodies)
    route = served.set_route(SERVICE, 1, candidate=2, weight=0.5, mode="canary")
    with served.renew(route), run_gateway(folder, workers=2) as gateway:
        ids = [b"first"]
        gateway.await_page(path, bodies[0].replace(MARK, "first"))
        killer = RandomKiller(gateway, find_home().root, path, every)
        probe = bodies[0].replace(MARK, "PROBE")
        thread = threading.Thread(target=killer.run, args=(seconds, probe, ids))
        thread.start()
        try:
            found = run_load(
                gateway.port,
                requests,
                connections=CONNECTIONS,
                seconds=seconds,
                rps=RPS,
                ids=folder / "ids",
            )
        finally:
            killer.ended.set()
            thread.join()
        gateway.await_page("/readyz")
    ids += (folder / "ids").read_bytes().split()
    ship_rest(find_home())
    return killer, ids, Counter(found["statuses"])


def ship_rest(home: Home) -> None:
    """Move what a log-writer that was killed at the end left in the spool, as the next one does."""
    from serving.log.log_writer import LogShipper
    from sluice.config.serving import TrafficLogConfig

    LogShipper(home, TrafficLogConfig()).ship(time.time(), all_of_it=True)


class Killer:
    """Kills a worker and the log-writer in the middle of a batch, so many times in all."""

    def __init__(self, draw: random.Random, kills: int) -> None:
        self._draw, self._kills = draw, kills
        self._planned = 0
        self.killed = 0

    def plan(self, progress: float, gateway: Server) -> threading.Timer | None:
        """Schedule a kill within the batch that begins, where one is due."""
        if self._planned >= self._kills or progress * self._kills < self._planned:
            return None
        self._planned += 1
        timer = threading.Timer(self._draw.uniform(0.2, 0.9) * BATCH_SECONDS, self._kill, [gateway])
        timer.start()
        return timer

    def _kill(self, gateway: Server) -> None:
        workers, writers = (
            gateway.find("serving.process.worker"),
            gateway.find("serving.log.log_writer"),
        )
        for pid in [*workers[:1], *writers]:
            os.kill(pid, signal.SIGKILL)
            self.killed += 1


def compare(home: Home, answered: list[bytes], killed: int) -> list[Row]:
    """Compare the answers that callers got, the log, and the counters."""
    import pyarrow as pa
    from deltalake import DeltaTable

    table = pa.table(DeltaTable(str(home.answers(SERVICE))).to_pyarrow_table(columns=COLUMNS))
    rows = table.to_pylist()
    logged = Counter(row["request_id"] for row in rows)
    missing = sum(request.decode() not in logged for request in answered)
    twice = sum(count - 1 for count in logged.values())
    counted, summed = read_counters(home), sum_rows(rows)
    difference = sum(abs(counted[key] - summed[key]) for key in set(counted) | set(summed))
    for key in sorted(set(counted) | set(summed), key=str):
        say(f"  {key}: counters {counted[key]:,}, log {summed[key]:,}")
    return [
        Row("answered", len(answered), "requests"),
        Row("killed", killed, "processes"),
        Row("in the log", len(rows), "answers"),
        Row("answered and not in the log", missing, "requests", 0),
        Row("in the log twice", twice, "answers", 0),
        Row("counters minus log, absolute, all counts", difference, "", 0),
    ]


def read_counters(home: Home) -> Counter[Any]:
    """Return all replicas' counts by arm, version, epoch and name."""
    from serving.log.counters import NO_STAGE
    from serving.log.worker_runs import RUNS_FOLDER, sum_counters

    found: Counter[Any] = Counter()
    for replica in home.serving.iterdir():
        if not (replica / RUNS_FOLDER).is_dir():
            continue
        for key, counts in sum_counters(replica).counts.items():
            if key.service == SERVICE and key.stage == NO_STAGE:
                for name in COUNTED:
                    found[str(key.arm), key.version, key.epoch, name] += getattr(counts, name)
                answers = sum(counts.latencies.values())
                found[str(key.arm), key.version, key.epoch, "latencies"] += answers
    return found


def sum_rows(rows: list[dict[str, Any]]) -> Counter[Any]:
    """Return the same counts from the log's rows."""
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
