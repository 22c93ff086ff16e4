"""Candidates that fail, hang or return NaN: no caller sees it, and the breaker stops it."""

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from serving.log.records import AssignedArm, Shadow
from sluice.adapters.registry.model_files import GRAPH_FILE, SERVING_FOLDER
from sluice.adapters.security.keys import KeyRing
from sluice.control.route import Mode
from sluice.models.export.onnx_export import SAMPLE_FILE
from sluice.rollout.assignment import hash_unit, place_of
from support.gateway.callers import run_load
from support.gateway.faulty import Fault, write_faulty
from support.gateway.models import describe_model, sign_model
from support.gateway.site import Running, Site, read_answers, read_log, run_gateway, wait_until
from support.gateway.towns import DATA, Towns
from support.pace import slowed

pytestmark = pytest.mark.slow
GOOD = {"size": 1.0, "town": "ayr", "here": True}
CANDIDATE, NONE = AssignedArm.CANDIDATE, AssignedArm.NONE
MAX_COMPLETED, WORKERS = 5, 2


@pytest.mark.parametrize(("fault", "reason"), [("nan", "invalid"), ("error", "invalid")])
def test_a_failing_candidate_is_stopped_and_no_caller_notices(
    site: Site, gateway: Running, towns: Towns, tmp_path: Path, fault: Fault, reason: str
) -> None:
    service = f"fails-{fault}"
    site.serve(service, towns.folder, write_faulty(towns.folder, tmp_path / "m", fault))
    site.canary(service, 1.0)
    with site.renewing(service):
        gateway.await_candidate(service)
        got = [gateway.predict(GOOD, service) for _ in range(30)]
    assert {item.status for item in got} == {200}
    assert {item.json["version"] for item in got} == {1}
    answers = read_answers(gateway.folder, service)
    tried = [item for item in answers if item.arm is CANDIDATE]
    assert 1 <= len(tried) <= MAX_COMPLETED
    assert all(item.failed and item.fallback and item.reason == reason for item in tried)
    assert {item.arm for item in answers} == {CANDIDATE, NONE}
    assert len(answers) == 30


def test_a_candidate_that_hangs_costs_its_time_limit_and_few_requests(
    site: Site, towns: Towns, tmp_path: Path
) -> None:
    service, limit_ms = "hangs", 400.0
    site.serve(service, towns.folder, write_faulty(towns.folder, tmp_path / "m", "hang"))
    with run_gateway(site, name="hanging") as gateway:
        site.canary(service, 1.0, arm_timeout_ms=limit_ms)
        with site.renewing(service):
            gateway.await_candidate(service)
            took = []
            for _ in range(15):
                began = time.monotonic()
                got = gateway.predict(GOOD, service)
                took.append(time.monotonic() - began)
                assert (got.status, got.json["version"]) == (200, 1)
        answers = read_answers(gateway.folder, service)
        tried = [item for item in answers if item.arm is CANDIDATE]
        assert 1 <= len(tried) <= MAX_COMPLETED
        assert {item.reason for item in tried} == {"timeout"}
        assert max(took) < slowed(10 * limit_ms / 1000)
        assert gateway.end() == 0, "a thread that hangs does not keep a process from ending"


def test_without_renewal_the_candidate_gets_nothing_after_the_ttl(
    site: Site, gateway: Running, towns: Towns
) -> None:
    site.serve("lapses", towns.folder)
    site.canary("lapses", 1.0, ttl=3.0)
    with site.renewing("lapses"):
        gateway.await_candidate("lapses")
        assert gateway.predict(GOOD, "lapses").json["arm"] == "candidate"
    gateway.await_all("lapses", lambda state: not state["candidate"])
    got = gateway.predict(GOOD, "lapses").json
    assert (got["arm"], got["version"]) == ("none", 1)
    assert "no renewal of epoch 2" in gateway.describe("lapses")["candidate_reason"]


def test_a_fresh_replica_waits_for_a_renewal(site: Site, towns: Towns) -> None:
    site.serve("fresh", towns.folder)
    site.canary("fresh", 1.0, ttl=30.0)
    with run_gateway(site, "--workers", "1", "--no-fetcher", "--no-log-writer", name="new") as new:
        assert new.predict(GOOD, "fresh").json["arm"] == "none"
        assert "waits for a first renewal" in new.describe("fresh")["candidate_reason"]
        site.renew("fresh")
        wait_until(lambda: new.predict(GOOD, "fresh").json["arm"] == "candidate")


def test_every_worker_of_every_replica_agrees_on_every_unit(site: Site, gateway: Running) -> None:
    with run_gateway(site, name="other") as other:
        site.canary("towns", 0.3, salt="agreed", ttl=30.0)
        with site.renewing("towns"):
            for replica in (gateway, other):
                replica.await_candidate("towns")
            units = [f"user-{number}" for number in range(150)]
            replies = [
                [replica.predict(GOOD, unit=unit).json for unit in units]
                for replica in (gateway, other, gateway)
            ]
        site.route("towns", candidate=None, weight=0.0, mode=Mode.CHAMPION, salt="")
        arms = [[item["arm"] for item in round_] for round_ in replies]
        wanted = [
            "candidate" if place_of("agreed", hash_unit(unit)) < 0.3 else "champion"
            for unit in units
        ]
        assert arms == [wanted] * 3
        assert all(
            item["version"] == (2 if item["arm"] == "candidate" else 1)
            for round_ in replies
            for item in round_
        )
        answers = read_answers(other.folder, "towns")
        assert {item.unit for item in answers} == {hash_unit(unit) for unit in units}


def test_in_shadow_the_candidate_is_compared_and_no_caller_waits_for_it(
    site: Site, gateway: Running, towns: Towns
) -> None:
    site.serve("copied", towns.folder)
    site.shadow("copied", stage_weights=(0.05, 0.5))
    with site.renewing("copied"):
        gateway.await_candidate("copied")
        got = [gateway.predict(GOOD, "copied").json for _ in range(40)]
        assert {(item["arm"], item["version"]) for item in got} == {("champion", 1)}

        def shadows() -> list[Shadow]:
            found = [item for item in read_log(gateway.folder) if isinstance(item, Shadow)]
            return [item for item in found if item.service == "copied"]

        wait_until(lambda: len(shadows()) == 40)
    assert {item.request_id for item in shadows()} == {item["request_id"] for item in got}
    assert not any(item.differs or item.failed for item in shadows())
    runs = gateway.ask("/v1/counters").json["worker_runs"]
    stages = Counter(
        entry["stage"]
        for run in runs
        for entry in run["counters"]
        if entry["service"] == "copied" and entry["requests"]
    )
    assert {None, 0.05, 0.5} >= set(stages) >= {None, 0.5}


def test_a_shadow_that_fails_is_stopped_without_any_caller_waiting(
    site: Site, gateway: Running, towns: Towns, tmp_path: Path
) -> None:
    service = "copied-badly"
    site.serve(service, towns.folder, write_faulty(towns.folder, tmp_path / "m", "nan"))
    site.shadow(service)
    with site.renewing(service):
        gateway.await_candidate(service)
        wait_until(lambda: gateway.predict(GOOD, service).json["arm"] == "none")
    failed = [item for item in read_log(gateway.folder) if isinstance(item, Shadow)]
    mine = [item for item in failed if item.service == service]
    assert 1 <= len(mine) <= MAX_COMPLETED + WORKERS * 8
    assert all(item.failed and item.differs is None for item in mine)


def test_a_champion_damaged_on_disk_is_refused_and_the_one_before_serves_on(
    site: Site, gateway: Running, towns: Towns
) -> None:
    site.serve("damaged", towns.folder)
    gateway.await_champion("damaged")
    site.serve_more("damaged", 3)
    entry = site.cache.find("damaged", 3)
    assert entry is not None
    graph = site.cache.folder / entry.digest / SERVING_FOLDER / GRAPH_FILE
    graph.write_bytes(graph.read_bytes()[:-10])
    with run_load([gateway.port], "damaged", pause=0.02) as load:
        site.route("damaged", champion=3)
        wait_until(lambda: site.cache.find("damaged", 3) is None)
        assert gateway.predict(GOOD, "damaged").json["version"] == 1
        site.serve_more("damaged", 3)
        wait_until(lambda: load.replies[-1].body.get("version") == 3)
    assert load.statuses == {200}


@pytest.mark.parametrize("fault", ["changed", "unsigned"])
def test_a_champion_that_nobody_signed_so_is_refused_and_the_one_before_serves_on(
    site: Site, gateway: Running, towns: Towns, tmp_path: Path, fault: str
) -> None:
    service, files = f"signed-{fault}", shutil.copytree(towns.folder, tmp_path / "files")
    site.serve(service, towns.folder)
    gateway.await_champion(service)
    third = describe_model(DATA, "binary", 3, service=service)
    if fault == "changed":  # in the cache, by somebody who makes the hashes fit
        third = sign_model(third, files, KeyRing(site.home.keys("development")))
        content = bytearray((files / SAMPLE_FILE).read_bytes())
        content[-10] ^= 1
        (files / SAMPLE_FILE).write_bytes(content)
    site.cache.publish(site.cache.keep(third, files))
    site.route(service, champion=3)
    wait_until(lambda: site.cache.find(service, 3) is None)
    assert gateway.predict(GOOD, service).json["version"] == 1
    site.serve_more(service, 3)
    wait_until(lambda: gateway.predict(GOOD, service).json["version"] == 3)


def test_the_smoke_test_runs_the_candidate_on_its_fixed_records(
    site: Site, gateway: Running, towns: Towns
) -> None:
    site.serve("smoked", towns.folder)
    gateway.await_champion("smoked")
    assert gateway.ask("/v1/models/smoked:smoke").status == 409
    site.canary("smoked", 0.0)
    with site.renewing("smoked"):
        gateway.await_candidate("smoked")
        result = gateway.ask("/v1/models/smoked:smoke").json
    assert result.pop("identity") == gateway.ask("/readyz").json["identity"] != ""
    assert result == {"service": "smoked", "version": 2, "rows": 64, "passed": True, "reason": ""}
    assert not read_answers(gateway.folder, "smoked"), "not a caller's request: it is not logged"
