"""Commands from the page: only with a key that may control, answered by the controller."""

import json
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.home import Home
from sluice.rollout.state import ALLOWED, Action, Phase
from support.rollouts.page import run_page
from support.rollouts.store import StoredRollout

WAIT_SECONDS = 60.0


def send(
    client: httpx.Client, action: str, key: str = "steer", service: str = "shop", **changes: Any
) -> httpx.Response:
    command = {"action": action, "by": "Ada", "reason": "a launch", **changes}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return client.post(f"/v1/rollouts/{service}/commands", json=command, headers=headers)


@pytest.fixture
def control(tmp_path: Any) -> Control:
    control = open_control(Home(tmp_path))
    control.prepare()
    return control


@pytest.fixture
def shadow(control: Control) -> StoredRollout:
    """A rollout of `town` in its first stage."""
    rollout = StoredRollout(control, "town")
    rollout.tick_to(Phase.SHADOW)
    return rollout


@pytest.fixture
def client(control: Control, keys: tuple[str, ...]) -> Iterator[httpx.Client]:
    with run_page(control, keys) as client:
        yield client


@pytest.fixture
def keys() -> tuple[str, ...]:
    return (f"{sha256(b'steer').hexdigest()} +control town",)


def answer_soon(control: Control, rollout: StoredRollout) -> threading.Thread:
    """Answer the next command as a controller would."""

    def wait() -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            if control.commands.find_next("town", rollout.record.number):
                rollout.answer()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_without_a_key_that_controls_the_page_is_read_only(stored: Control) -> None:
    with run_page(stored) as client:
        page = client.get("/services/shop").text
        assert "<button" not in page
        assert "read-only" in page
        assert "SHA256 +control shop" in page
        answer = send(client, "pause")
    assert answer.status_code == 403
    assert "no key with the right to control" in answer.json()["error"]
    assert "`SHA256 +control shop`" in answer.json()["error"]
    assert all(item.by != "Ada" for item in stored.commands.list_commands("shop"))


@pytest.mark.parametrize(
    ("key", "status", "said"),
    [
        ("", 401, "no API key was given"),
        ("wrong", 401, "this API key is not known here"),
        ("other", 403, "this key may not control shop"),
        ("ask", 403, "this key may not control shop"),
    ],
)
def test_a_key_without_the_right_changes_nothing(
    page: httpx.Client, stored: Control, key: str, status: int, said: str
) -> None:
    before = stored.commands.list_commands("shop")
    answer = send(page, "abort", key)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)
    rights = page.get("/v1/rollouts/shop/rights", headers={"X-API-Key": key})
    assert rights.status_code == status
    assert stored.commands.list_commands("shop") == before


def test_a_key_with_the_right_is_confirmed(page: httpx.Client) -> None:
    rights = page.get("/v1/rollouts/shop/rights", headers={"X-API-Key": "steer"})
    assert rights.json() == {"message": "this key may control shop"}


def test_unavailable_buttons_are_disabled_and_say_why(page: httpx.Client) -> None:
    text = page.get("/services/shop").text
    for action in Action:
        marker = f'id="do-{action.value.replace(" ", "-")}"'
        button = text.split(marker, 1)[1].split("</li>", 1)[0]
        possible = Phase.CANARY in ALLOWED[action] and action is not Action.APPROVE
        assert ("data-available" in button) == possible, button
        assert ("disabled" in button) != possible, button
    assert "it is not paused" in text
    assert "this stage requires no approval" in text


def test_a_command_reaches_the_store_and_its_answer_comes_back(
    client: httpx.Client, control: Control, shadow: StoredRollout
) -> None:
    controller = answer_soon(control, shadow)
    answer = send(client, "pause", service="town", by=" Ada ", reason=" a launch ")
    controller.join()
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "pause (Ada: a launch)"
    given = control.commands.list_commands("town")[-1]
    assert (given.action, given.by, given.reason, given.answer) == (
        "pause",
        "Ada",
        "a launch",
        "obey",
    )
    assert shadow.phase is Phase.PAUSED


def test_a_refusal_of_the_controller_comes_back_with_its_reason(
    client: httpx.Client, control: Control, shadow: StoredRollout
) -> None:
    controller = answer_soon(control, shadow)
    answer = send(client, "resume", service="town")
    controller.join()
    assert answer.status_code == 409
    assert answer.json()["error"] == "resume: the rollout is shadow; allowed while it is paused"


def test_without_a_rollout_a_command_is_refused(client: httpx.Client, control: Control) -> None:
    control.routes.follow_champion("town", 1)
    answer = send(client, "pause", service="town")
    assert answer.status_code == 409
    assert answer.json()["error"].startswith("pause: no rollout of town is under way; next: ")


def test_a_command_without_an_answer_is_shown_as_waiting(
    client: httpx.Client, shadow: StoredRollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.page.commands.ANSWER_SECONDS", 0.1)
    answer = send(client, "pause", service="town")
    assert (answer.status_code, answer.json()["answer"]) == (202, "")
    assert "waits for its controller" in client.get("/services/town").text


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"action": "sleep"}, 422, "action: found 'sleep'; allowed: pause, resume"),
        ({"by": " "}, 409, "pause: found no name; needed: a name and a reason"),
        ({"reason": ""}, 409, "pause: found no reason; needed: a name and a reason"),
        ({"reason": "x" * 501}, 422, "length <= 500"),
        ({"more": 1}, 422, "more"),
        ({"by": 7}, 422, "$.by"),
    ],
)
def test_an_invalid_command_is_refused(
    client: httpx.Client,
    control: Control,
    shadow: StoredRollout,
    changes: dict[str, Any],
    status: int,
    words: str,
) -> None:
    answer = send(client, **{"action": "pause", "service": "town", **changes})
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert control.commands.list_commands("town") == []


def test_a_form_of_another_site_is_no_command(client: httpx.Client, shadow: StoredRollout) -> None:
    body = json.dumps({"action": "abort", "by": "x", "reason": "y"})
    headers = {"Authorization": "Bearer steer", "Content-Type": "text/plain"}
    answer = client.post("/v1/rollouts/town/commands", content=body, headers=headers)
    assert answer.status_code == 415
