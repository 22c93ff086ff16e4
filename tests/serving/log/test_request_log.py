"""An answer is in the log before it is sent; counters equal the log; a full disk is reported."""

import asyncio
import os
import resource
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.http.feedback import (
    ANSWERS_FILE,
    CallerServices,
    FeedbackBody,
    FeedbackLog,
    RecentAnswers,
)
from serving.log.counters import Snapshot
from serving.log.records import AssignedArm, Feedback, Record, decode_record
from serving.log.request_log import SNAPSHOT_SECONDS, Listener, RequestLog
from serving.log.spool import Position, SpoolReader
from serving.log.worker_runs import export_runs, list_runs, replay, settle, sum_counters
from sluice.config.serving import TrafficLogConfig
from sluice.errors import SpoolFull
from support.gateway.records import AT, make_answer, make_shadow

ANY = CallerServices(["employment"])
CONFIG = TrafficLogConfig(segment_bytes=1 << 20, remembered_answers=1000)


def run(
    tmp_path: Path,
    steps: Callable[[RequestLog], Awaitable[None]],
    on_logged: Sequence[Listener] = (),
) -> RequestLog:
    """Run steps with a request log that is left open."""

    async def whole() -> RequestLog:
        log = RequestLog(tmp_path, "w0", "1", CONFIG, on_logged)
        await steps(log)
        return log

    return asyncio.run(whole())


def read_log(log: RequestLog) -> list[Record]:
    return [decode_record(item) for item in SpoolReader(log.run.folder, Position()).read()]


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file be as large as a segment."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CONFIG.segment_bytes - 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_record_is_in_the_log_when_it_is_done(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        done = log.record(make_answer(1))
        assert read_log(log) == []
        await done
        assert read_log(log) == [make_answer(1)]

    run(tmp_path, steps).close()


def test_records_of_one_loop_iteration_are_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    pwrite = os.pwrite
    monkeypatch.setattr(
        "serving.log.spool.os.pwrite", lambda *call: (writes.append(len(call[1])), pwrite(*call))[1]
    )

    async def steps(log: RequestLog) -> None:
        writes.clear()
        await asyncio.gather(*[log.record(make_answer(number)) for number in range(50)])
        assert len(read_log(log)) == 50

    run(tmp_path, steps)
    assert sum(size > 50 * 50 for size in writes) == 1


def test_caller_that_hangs_up_affects_no_other(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        async def answer(number: int) -> None:
            await log.record(make_answer(number))

        tasks = [asyncio.create_task(answer(number)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [
            type(None),
            asyncio.CancelledError,
            type(None),
        ]
        assert len(read_log(log)) == 3

    run(tmp_path, steps).close()


def test_counters_on_disk_follow_and_a_scrape_sees_all(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        await log.record(make_answer(1))
        assert log.record_shadow(make_shadow(1))
        await log.record(make_shadow(2))
        log.flush_counters()
        assert sum_counters(tmp_path).counts == log.counters.counts
        await log.record(make_answer(2))
        async with asyncio.timeout(20):
            while sum_counters(tmp_path).counts != log.counters.counts:
                await asyncio.sleep(SNAPSHOT_SECONDS)
        (worker_run,) = export_runs(tmp_path)
        facts = [worker_run[name] for name in ("run", "started", "final")]
        assert facts == ["w0@1", "1", False]

    run(tmp_path, steps).close()


def test_clean_end_needs_no_settling(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        await asyncio.gather(*[log.record(make_answer(number)) for number in range(9)])
        log.record(make_answer(10))
        log.close()

    log = run(tmp_path, steps)
    snapshot = log.run.read()
    assert snapshot.final
    assert settle(log.run) == snapshot
    assert replay(log.run.folder, Snapshot())[0].counts == snapshot.restore().counts
    files = {path.name: path.stat().st_size for path in log.run.folder.iterdir()}
    assert files["00000000.spool"] == snapshot.offset
    assert "00000001.spare" not in files


def test_segments_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        for start in range(0, 600, 30):
            items = [make_answer(number, inputs=bytes(9000)) for number in range(start, start + 30)]
            await asyncio.gather(*[log.record(item) for item in items])
            assert not log.is_low, "a change of segment alone is no shortage"

    log = run(tmp_path, steps)
    assert [item.request_id for item in read_log(log)] == [f"r{n}" for n in range(600)]
    assert len(list(log.run.folder.glob("*.spool"))) >= 5
    log.close()


def test_full_disk_is_reported_early_and_nothing_is_lost(tmp_path: Path) -> None:
    done: list[str] = []

    async def steps(log: RequestLog) -> None:
        async def answer(number: int) -> None:
            await log.record(make_answer(number, inputs=bytes(50_000)))
            done.append(f"r{number}")

        assert not log.is_low
        with full_disk():
            for start in range(0, 100, 10):
                turn = [answer(number) for number in range(start, start + 10)]
                results = await asyncio.gather(*turn, return_exceptions=True)
                refused = [item for item in results if isinstance(item, SpoolFull)]
                if refused:
                    assert log.is_low
                    break
            assert refused
            with pytest.raises(SpoolFull, match="no room for a segment"):
                log.record(make_answer(1000, inputs=bytes(50_000)))
            assert not log.record_shadow(make_shadow(1000, outputs=bytes(50_000)))
            assert not log.is_broken
        await answer(2000)
        async with asyncio.timeout(20):
            while log.is_low:
                await asyncio.sleep(0.05)

    log = run(tmp_path, steps)
    assert 30 <= len(done) <= 50, "one segment in use and the one in reserve"
    assert [item.request_id for item in read_log(log)] == done
    assert sum(item.requests for item in log.counters.counts.values()) == len(done)
    log.close()


def test_log_without_room_for_a_first_segment_is_refused(tmp_path: Path) -> None:
    async def whole() -> None:
        with full_disk(), pytest.raises(SpoolFull, match="no room for a segment of 1048576 bytes"):
            RequestLog(tmp_path, "w0", "1", CONFIG)
        assert list_runs(tmp_path) == []
        RequestLog(tmp_path, "w0", "1", CONFIG).close()

    asyncio.run(whole())


def test_record_larger_than_a_segment_is_refused(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        with pytest.raises(SpoolFull, match="more than a segment takes"):
            log.record(make_answer(inputs=bytes(CONFIG.segment_bytes)))
        await log.record(make_answer(1))
        assert len(read_log(log)) == 1

    run(tmp_path, steps).close()


def test_failed_write_stops_the_worker_and_settling_is_exact(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        await log.record(make_answer(1))
        os.close(log._spool._descriptor)
        with pytest.raises(SpoolFull, match="Bad file descriptor"):
            await log.record(make_answer(2))
        assert log.is_broken
        with pytest.raises(SpoolFull, match="cannot be written any more"):
            log.record(make_answer(3))

    log = run(tmp_path, steps)
    log.close()
    found = settle(log.run)
    assert found is not None
    assert found.restore().counts == log.counters.counts


def capped(service: str) -> float:
    assert service == "employment"
    return 10.0


def test_feedback_counts_for_the_arm_that_answered(tmp_path: Path) -> None:
    async def steps(log: RequestLog) -> None:
        feedback = FeedbackLog(log, answers)
        await log.record(make_answer(1, arm=AssignedArm.CANDIDATE, arm_version=4))
        await feedback.record(
            FeedbackBody("r1", label="yes", rating=-1.0, value=2.0), AT, ANY, capped
        )
        await feedback.record(FeedbackBody("r1", rating=-1.0, value=8.0), AT + 1, ANY, capped)
        await feedback.record(FeedbackBody("nobody", rating=-1.0), AT + 2, ANY, capped)

    answers = RecentAnswers(tmp_path / ANSWERS_FILE, CONFIG.remembered_answers)
    log = run(tmp_path, steps, [answers.remember])
    feedback = [item for item in read_log(log) if isinstance(item, Feedback)]
    assert [(item.arm, item.version, item.counts_rating) for item in feedback] == [
        ("candidate", 4, True),
        ("candidate", 4, False),
        ("none", 0, False),
    ]
    (counts,) = log.counters.counts.values()
    assert (counts.feedbacks, counts.negatives) == (1, 1)
    assert (counts.valued, counts.lack) == (1, 800_000), "the first value, of a cap of 10"
    log.close()
    answers.close()
