"""An answer is in the log before it is given; counters and log agree; a full disk is said."""

import asyncio
import os
import resource
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.http.feedback import ANSWERED, FeedbackBody, FeedbackLog, RecentAnswers
from serving.log.counters import Snapshot
from serving.log.ledger import SNAPSHOT_SECONDS, Listener, RequestLog
from serving.log.records import AssignedArm, Feedback, Record, decode_record
from serving.log.spool import Position, SpoolReader
from serving.log.worker_runs import export_runs, list_runs, replay, settle, sum_counters
from sluice.config.serving import TrafficLogConfig
from sluice.errors import SpoolFull
from support.gateway.records import AT, make_answer, make_shadow

CONFIG = TrafficLogConfig(segment_bytes=1 << 20, remembered_answers=1000)


def run(
    tmp_path: Path,
    steps: Callable[[RequestLog], Awaitable[None]],
    on_logged: Sequence[Listener] = (),
) -> RequestLog:
    """Run steps with a ledger that is left open."""

    async def whole() -> RequestLog:
        ledger = RequestLog(tmp_path, "w0", "1", CONFIG, on_logged)
        await steps(ledger)
        return ledger

    return asyncio.run(whole())


def read_log(ledger: RequestLog) -> list[Record]:
    return [decode_record(item) for item in SpoolReader(ledger.life.folder, Position()).read()]


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
    async def steps(ledger: RequestLog) -> None:
        done = ledger.record(make_answer(1))
        assert read_log(ledger) == []
        await done
        assert read_log(ledger) == [make_answer(1)]

    run(tmp_path, steps).close()


def test_one_turn_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    pwrite = os.pwrite
    monkeypatch.setattr(
        "serving.log.spool.os.pwrite", lambda *call: (writes.append(len(call[1])), pwrite(*call))[1]
    )

    async def steps(ledger: RequestLog) -> None:
        writes.clear()
        await asyncio.gather(*[ledger.record(make_answer(number)) for number in range(50)])
        assert len(read_log(ledger)) == 50

    run(tmp_path, steps)
    assert sum(size > 50 * 50 for size in writes) == 1


def test_caller_that_goes_away_takes_nobody_along(tmp_path: Path) -> None:
    async def steps(ledger: RequestLog) -> None:
        async def answer(number: int) -> None:
            await ledger.record(make_answer(number))

        tasks = [asyncio.create_task(answer(number)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [
            type(None),
            asyncio.CancelledError,
            type(None),
        ]
        assert len(read_log(ledger)) == 3

    run(tmp_path, steps).close()


def test_counters_on_disk_follow_and_a_scrape_sees_all(tmp_path: Path) -> None:
    async def steps(ledger: RequestLog) -> None:
        await ledger.record(make_answer(1))
        assert ledger.shadow(make_shadow(1))
        await ledger.record(make_shadow(2))
        ledger.flush_counters()
        assert sum_counters(tmp_path).counts == ledger.counters.counts
        await ledger.record(make_answer(2))
        async with asyncio.timeout(20):
            while sum_counters(tmp_path).counts != ledger.counters.counts:
                await asyncio.sleep(SNAPSHOT_SECONDS)
        (life,) = export_runs(tmp_path)
        assert (life["life"], life["started"], life["final"]) == ("w0@1", "1", False)

    run(tmp_path, steps).close()


def test_clean_end_needs_no_settling(tmp_path: Path) -> None:
    async def steps(ledger: RequestLog) -> None:
        await asyncio.gather(*[ledger.record(make_answer(number)) for number in range(9)])
        ledger.record(make_answer(10))
        ledger.close()

    ledger = run(tmp_path, steps)
    snapshot = ledger.life.read()
    assert snapshot.final
    assert settle(ledger.life) == snapshot
    assert replay(ledger.life.folder, Snapshot())[0].counts == snapshot.restore().counts
    files = {path.name: path.stat().st_size for path in ledger.life.folder.iterdir()}
    assert files["00000000.spool"] == snapshot.offset
    assert "00000001.spare" not in files


def test_segments_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    async def steps(ledger: RequestLog) -> None:
        for start in range(0, 600, 30):
            items = [make_answer(number, inputs=bytes(9000)) for number in range(start, start + 30)]
            await asyncio.gather(*[ledger.record(item) for item in items])
            assert not ledger.is_low, "a change of segment alone is no shortage"

    ledger = run(tmp_path, steps)
    assert [item.request_id for item in read_log(ledger)] == [f"r{n}" for n in range(600)]
    assert len(list(ledger.life.folder.glob("*.spool"))) >= 5
    ledger.close()


def test_full_disk_is_said_before_it_hurts_and_nothing_is_lost(tmp_path: Path) -> None:
    done: list[str] = []

    async def steps(ledger: RequestLog) -> None:
        async def answer(number: int) -> None:
            await ledger.record(make_answer(number, inputs=bytes(50_000)))
            done.append(f"r{number}")

        assert not ledger.is_low
        with full_disk():
            for start in range(0, 100, 10):
                turn = [answer(number) for number in range(start, start + 10)]
                results = await asyncio.gather(*turn, return_exceptions=True)
                refused = [item for item in results if isinstance(item, SpoolFull)]
                if refused:
                    assert ledger.is_low
                    break
            assert refused
            with pytest.raises(SpoolFull, match="no room for a segment"):
                ledger.record(make_answer(1000, inputs=bytes(50_000)))
            assert not ledger.shadow(make_shadow(1000, outputs=bytes(50_000)))
            assert not ledger.is_broken
        await answer(2000)
        async with asyncio.timeout(20):
            while ledger.is_low:
                await asyncio.sleep(0.05)

    ledger = run(tmp_path, steps)
    assert 30 <= len(done) <= 50, "one segment in use and the one in reserve"
    assert [item.request_id for item in read_log(ledger)] == done
    assert sum(item.requests for item in ledger.counters.counts.values()) == len(done)
    ledger.close()


def test_ledger_without_room_for_a_first_segment_is_refused(tmp_path: Path) -> None:
    async def whole() -> None:
        with full_disk(), pytest.raises(SpoolFull, match="no room for a segment of 1048576 bytes"):
            RequestLog(tmp_path, "w0", "1", CONFIG)
        assert list_runs(tmp_path) == []
        RequestLog(tmp_path, "w0", "1", CONFIG).close()

    asyncio.run(whole())


def test_record_larger_than_a_segment_is_refused(tmp_path: Path) -> None:
    async def steps(ledger: RequestLog) -> None:
        with pytest.raises(SpoolFull, match="more than a segment takes"):
            ledger.record(make_answer(inputs=bytes(CONFIG.segment_bytes)))
        await ledger.record(make_answer(1))
        assert len(read_log(ledger)) == 1

    run(tmp_path, steps).close()


def test_write_that_fails_ends_the_worker_and_settling_is_exact(tmp_path: Path) -> None:
    async def steps(ledger: RequestLog) -> None:
        await ledger.record(make_answer(1))
        os.close(ledger._spool._descriptor)
        with pytest.raises(SpoolFull, match="Bad file descriptor"):
            await ledger.record(make_answer(2))
        assert ledger.is_broken
        with pytest.raises(SpoolFull, match="cannot be written any more"):
            ledger.record(make_answer(3))

    ledger = run(tmp_path, steps)
    ledger.close()
    found = settle(ledger.life)
    assert found is not None
    assert found.restore().counts == ledger.counters.counts


def capped(service: str) -> float:
    assert service == "employment"
    return 10.0


def test_feedback_counts_for_the_arm_that_answered(tmp_path: Path) -> None:
    async def steps(ledger: RequestLog) -> None:
        feedback = FeedbackLog(ledger, answered)
        await ledger.record(make_answer(1, arm=AssignedArm.CANDIDATE, arm_version=4))
        await feedback.record(FeedbackBody("r1", label="yes", rating=-1.0, value=2.0), AT, capped)
        await feedback.record(FeedbackBody("r1", rating=-1.0, value=8.0), AT + 1, capped)
        await feedback.record(FeedbackBody("nobody", rating=-1.0), AT + 2, capped)

    answered = RecentAnswers(tmp_path / ANSWERED, CONFIG.remembered_answers)
    ledger = run(tmp_path, steps, [answered.remember])
    told = [item for item in read_log(ledger) if isinstance(item, Feedback)]
    assert [(item.arm, item.version, item.rates) for item in told] == [
        ("candidate", 4, True),
        ("candidate", 4, False),
        ("none", 0, False),
    ]
    (counts,) = ledger.counters.counts.values()
    assert (counts.feedbacks, counts.negatives) == (1, 1)
    assert (counts.valued, counts.lack) == (1, 800_000), "the first word, of a cap of 10"
    ledger.close()
    answered.close()
