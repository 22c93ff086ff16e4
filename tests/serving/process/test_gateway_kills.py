"""kill -9 under load, store unreachable, disk full: callers are served, each answer is logged."""

import http.client
import os
import resource
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from serving.http.pages import FULL
from serving.log.worker_runs import list_runs
from support.gateway.callers import run_load
from support.gateway.proofs import check_log
from support.gateway.site import CallerReply, Running, Site, read_answers, run_gateway, wait_until
from support.gateway.towns import Towns
from support.pace import slowed

pytestmark = [pytest.mark.slow, pytest.mark.faults]
GOOD = {"size": 1.0, "town": "ayr", "here": True}
SEGMENT = 1 << 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, towns: Towns) -> Site:
    """A state folder of its own: services of other tests need not be loaded for each replica."""
    site = Site(tmp_path_factory.mktemp("small"))
    site.serve("towns", towns.folder)
    return site


def ask_first(replicas: list[Running]) -> CallerReply:
    """Ask like a caller with two addresses: the next one where a connection breaks."""
    for replica in replicas:
        try:
            return replica.predict(GOOD, "towns")
        except (OSError, http.client.HTTPException):
            continue
    raise AssertionError("no replica answers")


def test_killed_workers_are_replaced_and_lose_no_answer(small: Site) -> None:
    with run_gateway(small, name="killed") as running:
        with run_load([running.port], "towns") as load:
            for _ in range(3):
                before = len(load.replies)
                wait_until(lambda seen=before: len(load.replies) > seen + 100)
                victim = running.workers()[0]
                os.kill(victim, signal.SIGKILL)
                wait_until(lambda dead=victim: dead not in running.workers())
                wait_until(lambda: len(running.workers()) == 2)
                running.await_champion("towns")
        assert load.statuses == {200}
        assert load.broken <= 3 * 4, "only requests in flight at a worker that died"
        assert load.refused == 0
        assert running.end() == 0
        check_log(running, load, "towns")


def test_of_two_replicas_the_other_serves_when_one_is_killed(small: Site) -> None:
    with run_gateway(small, name="left") as left, run_gateway(small, name="right") as right:
        with run_load([left.port, right.port], "towns") as load:
            wait_until(lambda: len(load.replies) > 100)
            children = left.children()
            killed = time.monotonic()
            left.process.kill()
            left.process.wait()
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            assert ask_first([left, right]).status == 200
            assert time.monotonic() - killed < slowed(1)
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
            before = len(load.replies)
            wait_until(lambda: len(load.replies) > before + 100)
            assert right.predict(GOOD, "towns").status == 200
        assert load.statuses == {200}
        with run_gateway(small, name="left", port=left.port) as again:
            assert again.predict(GOOD, "towns").status == 200, "the port is free again"
            wait_until(lambda: sum(not item.read().final for item in list_runs(left.folder)) == 2)
        ids = [
            item.request_id
            for folder in (left.folder, right.folder)
            for item in read_answers(folder, "towns")
        ]
        assert len(ids) == len(set(ids))
        assert load.ids <= set(ids)


def test_the_log_writer_is_killed_and_every_answer_is_in_the_table_once(
    small: Site, towns: Towns
) -> None:
    small.serve("shipped", towns.folder)
    table = small.home.answers("shipped")
    with run_gateway(small, "--no-fetcher", name="shipping") as running:
        with run_load([running.port], "shipped") as load:
            wait_until((table / "_delta_log").is_dir)
            lock = small.home.root / "traffic" / "log-writer.lock"
            for _ in range(2):
                writer = int(lock.read_text())
                os.kill(writer, signal.SIGKILL)
                before = len(load.replies)
                wait_until(lambda seen=before: len(load.replies) > seen + 100)
                wait_until(lambda dead=writer: lock.read_text() not in ("", str(dead)))
        assert load.statuses == {200}
        assert running.end() == 0
    ids = pa.table(DeltaTable(str(table)).to_pyarrow_table())["request_id"].to_pylist()
    assert len(ids) == len(set(ids))
    assert set(ids) == load.ids


def test_while_the_store_is_unreachable_the_champion_serves_alone(
    tmp_path: Path, towns: Towns
) -> None:
    site = Site(tmp_path)
    site.serve("towns", towns.folder)
    route = site.canary("towns", 1.0, ttl=2.0)
    with run_gateway(site) as running:
        with site.renewing("towns"):
            running.await_candidate("towns")
        away = site.home.root / "away.db"
        (site.home.root / "control.db").rename(away)
        with run_load([running.port], "towns") as load:
            wait_until(lambda: {item.body.get("arm") for item in load.replies[-50:]} == {"none"})
            os.kill(running.workers()[0], signal.SIGKILL)
            before = len(load.replies)
            wait_until(lambda: len(running.workers()) == 2 and len(load.replies) > before + 300)
            late = load.replies[-50:]
            pages: list[CallerReply] = []

            def is_missed() -> bool:
                """Whether the next worker knows: one that waits for a lock does not know yet."""
                pages.append(running.ask("/readyz"))
                return "control store: " in pages[-1].json["store"]

            wait_until(is_missed)
            page = pages[-1]
        assert load.statuses == {200}
        assert page.status == 200, "champions are answered"
        assert f"the control store: {page.json['store']}" in page.json["problems"]
        assert {item.body["arm"] for item in late} == {"none"}
        assert {item.body["version"] for item in late} == {1}
        (site.home.root / "control.db").unlink(missing_ok=True)
        away.rename(site.home.root / "control.db")
        with site.renewing("towns"):
            running.await_candidate("towns")
        assert running.predict(GOOD).json["version"] == route.candidate


def test_a_full_disk_first_turns_the_candidate_off_then_replies_503(
    tmp_path: Path, towns: Towns
) -> None:
    site = Site(tmp_path, traffic_log={"segment_bytes": SEGMENT})
    site.serve("towns", towns.folder)
    site.canary("towns", 1.0, ttl=60.0)
    filler = {**GOOD, "note": "x" * 30_000}
    with run_gateway(site) as running:
        with site.renewing("towns"):
            running.await_candidate("towns")
            workers = running.workers()
            for pid in workers:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (SEGMENT - 1, resource.RLIM_INFINITY))
            got = []
            for _ in range(200):
                got.append(running.predict(filler))
                time.sleep(slowed(0.02))  # a worker checks four times a second if there is room
                if got[-1].status == 503:
                    break
            served = [item.json for item in got if item.status == 200]
            assert served[0]["arm"] == "candidate"
            assert served[-1]["arm"] == "none"
            assert (got[-1].status, got[-1].json["error"]) == (503, "the log has no room")
            assert int(got[-1].headers["retry-after"]) >= 1
            logs: dict[str, int] = {}

            def are_full() -> bool:
                """Whether both logs are: the other worker may have got fewer requests."""
                running.predict(filler)
                pages = [running.ask("/readyz") for _ in range(10)]
                logs.clear()
                logs.update((page.json["log"], page.status) for page in pages)
                return "good" not in logs

            wait_until(are_full)
            assert set(logs) <= {FULL, "low: the candidates get nothing"}
            assert logs[FULL] == 503
            for pid in workers:
                resource.prlimit(
                    pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                )
            running.await_candidate("towns")
            assert running.predict(filler).json["arm"] == "candidate"
            assert running.workers() == workers
        assert running.end() == 0
        logged = {item.request_id for item in read_answers(running.folder, "towns")}
        assert {item["request_id"] for item in served} <= logged


def test_requests_in_flight_are_finished_before_the_shutdown(small: Site) -> None:
    with run_gateway(small, name="drained") as running:
        with run_load([running.port], "towns", pause=0.0) as load:
            wait_until(lambda: len(load.replies) > 200)
            assert running.end() == 0
        assert load.statuses == {200}
        check_log(running, load, "towns")
        assert len(load.ids) == len(read_answers(running.folder, "towns"))
