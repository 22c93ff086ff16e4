"""A hundred changes of route and model under load: no failure, no wrong assignment."""

import time
from pathlib import Path

import pytest

from serving.log.records import AssignedArm
from sluice.control.route import Mode, Route
from support.gateway.callers import run_load
from support.gateway.site import Site, read_answers, run_gateway, wait_until
from support.gateway.towns import Towns

pytestmark = [pytest.mark.slow, pytest.mark.faults]
SWAPS, MODELS = 100, 6
GROWTH = 60 << 20
"""Bytes that a worker may grow by: free memory of the allocator, not a hundred models."""


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_hundred_swaps_under_load_fail_nothing_and_mis_assign_nothing(
    site: Site, towns: Towns
) -> None:
    site.serve("swapped", towns.folder)
    for version in range(3, MODELS + 1):
        site.serve_more("swapped", version)
    with run_gateway(site, name="swapping") as running:
        routes: dict[int, Route] = {}
        with run_load([running.port], "swapped", pause=0.01) as load:
            sizes = []
            for number in range(SWAPS):
                champion, candidate = 1 + number % MODELS, 1 + (number + 1) % MODELS
                route = site.canary(
                    "swapped", (number % 10) / 10, champion=champion, candidate=candidate
                )
                routes[route.epoch] = route
                time.sleep(0.15)
                site.renew("swapped")
                time.sleep(0.15)
                if number in (SWAPS // 3, SWAPS - 1):
                    sizes.append(sum(map(resident, running.workers())))
            last = site.route("swapped", candidate=None, weight=0.0, mode=Mode.CHAMPION, salt="")
            routes[last.epoch] = last
            wait_until(lambda: load.replies[-1].body["version"] == last.champion)
        assert load.statuses == {200}
        assert load.broken == load.refused == 0
        assert running.end() == 0
        answers = read_answers(running.folder, "swapped")
    assert load.ids == {item.request_id for item in answers}
    epochs = {item.epoch for item in answers}
    assert len(epochs) > 10, "swaps happened while requests came"
    for answer in answers:
        route = routes.get(answer.epoch)
        if route is None:  # before the first swap
            continue
        assert not answer.failed
        inside = answer.arm is AssignedArm.CANDIDATE
        if answer.arm is not AssignedArm.NONE and route.candidate is not None:
            assert inside == (answer.place < route.weight)
        if inside:
            assert answer.version == answer.arm_version == route.candidate
    assert sizes[1] - sizes[0] < GROWTH
