"""Publishing an artifact while the orchestration server is away."""

import threading
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.artifacts import create_markdown_artifact

from support.releases.runs import artifacts_of, logs_of
from tasks.run import artifacts as publishing
from tasks.run.artifacts import publish

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

AWAY = "http://127.0.0.1:9"
"""Nothing listens on this port."""


class ReturningServer:
    """Creates artifacts on a server that does not answer until it is switched on."""

    def __init__(self) -> None:
        self.is_back = threading.Event()

    def create(self, **content: Any) -> None:
        if self.is_back.is_set():
            create_markdown_artifact(**content)
            return
        self.is_back.set()
        httpx.get(AWAY, trust_env=False)


@flow(persist_result=False, result_serializer="json")
def publish_one(create: Any) -> str:
    publish(create, "waiting", markdown="here")
    return "done"


def test_a_server_that_comes_back_gets_the_artifact() -> None:
    server = ReturningServer()
    state = publish_one.with_options(validate_parameters=False)(server.create, return_state=True)
    assert state.result() == "done"
    assert server.is_back.is_set()
    assert list(artifacts_of(state)) == ["waiting"]


def test_a_server_that_stays_away_costs_the_artifact_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(**_: Any) -> None:
        httpx.get(AWAY, trust_env=False)

    monkeypatch.setattr(publishing, "AWAY_SECONDS", 3.0)
    state = publish_one.with_options(validate_parameters=False)(create, return_state=True)
    assert state.result() == "done"
    assert artifacts_of(state) == {}
    assert any(line.startswith("no artifact waiting: the server was") for line in logs_of(state))
