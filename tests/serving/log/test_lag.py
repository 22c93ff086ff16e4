"""How far the log is behind: the age of the oldest record that it lacks."""

from serving.log.lag import measure_lag
from serving.log.log_writer import LogShipper
from sluice.config.serving import TrafficLogConfig
from sluice.home import Home
from support.gateway.records import AT, Worker, begin_worker, make_answer

CONFIG = TrafficLogConfig(batch_rows=1000, flush_seconds=10)


def test_a_replica_without_records_has_no_lag(home: Home, worker: Worker) -> None:
    assert measure_lag(home.serving / "a", AT) == 0
    assert measure_lag(home.serving / "nothing", AT) == 0


def test_it_grows_while_the_log_writer_is_stopped_and_ends_with_its_work(
    home: Home, worker: Worker
) -> None:
    worker.write([make_answer(number) for number in range(3)])
    assert measure_lag(home.serving / "a", AT + 400) == 400
    shipper = LogShipper(home, CONFIG)
    shipper.ship(AT, all_of_it=True)
    assert measure_lag(home.serving / "a", AT + 400) == 0
    worker.write([make_answer(300)])
    assert measure_lag(home.serving / "a", AT + 400) == 100


def test_a_record_of_a_dead_worker_counts_too(home: Home, worker: Worker) -> None:
    worker.write([make_answer(1)])
    later = begin_worker(home.serving / "a", "2", segment_bytes=1 << 14)
    later.write([make_answer(200)])
    assert measure_lag(home.serving / "a", AT + 300) == 299
    later.die()


def test_a_clock_that_went_back_gives_no_negative_lag(home: Home, worker: Worker) -> None:
    worker.write([make_answer(100)])
    assert measure_lag(home.serving / "a", AT) == 0
