"""Records of the gateway, and worker runs without an event loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from serving.log.counters import Counters, Slots, encode_snapshot
from serving.log.records import Answer, AssignedArm, Feedback, Record, Shadow, encode_record
from serving.log.spool import Spool, build_frame
from serving.log.worker_runs import WorkerRun, begin_run

AT = 1_795_000_000.0
"""A time in 2026, in seconds since 1970."""


def make_answer(number: int = 0, **facts: Any) -> Answer:
    values: dict[str, Any] = {
        "request_id": f"r{number}",
        "unit": f"u{number % 7}",
        "service": "employment",
        "arm": AssignedArm.CHAMPION,
        "arm_version": 3,
        "version": 3,
        "place": number % 10 / 10,
        "epoch": 5,
        "at": AT + number,
        "latency_ms": 2.0,
        "inputs": b'{"age": 40}',
        "outputs": b'{"prediction": "yes"}',
    }
    return Answer(**{**values, **facts})


def make_shadow(number: int = 0, **facts: Any) -> Shadow:
    values: dict[str, Any] = {
        "request_id": f"r{number}",
        "service": "employment",
        "version": 4,
        "epoch": 5,
        "at": AT + number,
        "latency_ms": 3.0,
        "differs": False,
    }
    return Shadow(**{**values, **facts})


_money = st.none() | st.floats(0, 1e6)
_latency = st.floats(0, 1e6)
_epoch = st.integers(1, 60)
_arms = st.sampled_from(list(AssignedArm))
answers = st.builds(
    make_answer,
    st.integers(0, 99),
    service=st.sampled_from(["employment", "arrivals"]),
    arm=_arms,
    arm_version=st.integers(1, 3),
    epoch=_epoch,
    latency_ms=_latency,
    failed=st.booleans(),
    fallback=st.booleans(),
    guardrail=st.booleans(),
    cost=_money,
    cost_cap=st.sampled_from([0.0, 10.0]),
    stages=st.sampled_from([(), (0.05, 0.25, 0.5)]),
    input_tokens=st.none() | st.integers(0, 10**6),
    output_tokens=st.none() | st.integers(0, 10**6),
    first_byte_ms=st.none() | _latency,
    hits=st.sampled_from([None, ("input:iban:flag",), ("output:email:mask",) * 2]),
    inputs=st.binary(max_size=300),
)
shadows = st.builds(
    make_shadow,
    st.integers(0, 99),
    epoch=_epoch,
    latency_ms=_latency,
    failed=st.booleans(),
    differs=st.none() | st.booleans(),
)
feedback = st.builds(
    Feedback,
    request_id=st.just("r1"),
    at=st.just(AT),
    rating=st.none() | st.floats(-1, 1),
    value=_money,
    value_cap=st.sampled_from([0.0, 100.0]),
    service=st.just("employment"),
    arm=_arms,
    version=st.integers(1, 3),
    epoch=_epoch,
    counts_rating=st.booleans(),
    counts_value=st.booleans(),
)
records: st.SearchStrategy[Record] = st.one_of(answers, shadows, feedback)


@dataclass
class Worker:
    """A worker run whose writes the test makes itself; it never ends cleanly."""

    run: WorkerRun
    lock: int
    spool: Spool
    slots: Slots
    counters: Counters

    def write(self, records: Sequence[Record]) -> None:
        frames = [build_frame(encode_record(record)) for record in records]
        for frame in frames:
            self.spool.promise(len(frame))
        self.spool.write(frames)
        for record in records:
            self.counters.apply(record)

    def snapshot(self) -> None:
        self.slots.write(encode_snapshot(self.counters, self.spool.position))

    def die(self) -> None:
        """Leave what a killed process leaves: its files, and no lock."""
        import os

        os.close(self.lock)
        self.slots.close()


def begin_worker(replica: Path, started: str = "1", segment_bytes: int = 1 << 16) -> Worker:
    run, lock = begin_run(replica, "w0", started)
    spool = Spool(run.folder, segment_bytes)
    worker = Worker(run, lock, spool, Slots(run.counters), Counters())
    worker.snapshot()
    return worker
