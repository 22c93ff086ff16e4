"""The route follows the alias `champion` of a version that may serve, and nothing else."""

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.control.route import Mode, Route
from sluice.home import Home
from support.releases.verdicts import PASSED
from tasks.run.champions import route_to_champion


def version(number: int, *aliases: str, **tags: str) -> ModelVersionRef:
    uri = f"models:/employment/{number}"
    return ModelVersionRef("employment", number, "run", {**PASSED, **tags}, uri, aliases)


def test_a_champion_is_followed(home: Home) -> None:
    first = route_to_champion(version(1, "champion"))
    assert first is not None
    assert first == open_control(home).routes.find("employment")
    second = route_to_champion(version(2, "champion"))
    assert second is not None
    assert (second.champion, second.epoch) == (2, 2)


def test_a_candidate_and_none_at_all_are_not(home: Home) -> None:
    assert route_to_champion(version(1, "candidate")) is None
    assert route_to_champion(None) is None
    assert not (home.root / "control.db").exists()


def test_a_rollout_under_way_is_left_alone(home: Home) -> None:
    route_to_champion(version(1, "champion"))
    routes = open_control(home).routes
    shadow = Route("employment", 1, 2, salt="s", mode=Mode.SHADOW)
    under_way = routes.swap(routes.find("employment"), shadow)
    assert route_to_champion(version(3, "champion")) == under_way


def test_a_version_that_may_not_serve_is_not_followed(home: Home) -> None:
    first = route_to_champion(version(1, "champion"))
    failed = version(2, "champion", **{"sluice.verdict.bias": "fail"})
    assert route_to_champion(failed) == first
    assert open_control(home).routes.find("employment") == first
