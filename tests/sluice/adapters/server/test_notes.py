"""Events and pages of a process without Prefect's client, over real HTTP."""

from sluice.adapters.server.notes import is_there, send_event, send_page
from support.servers.ports import find_free_port
from support.servers.receiver import run_receiver

NOWHERE = f"http://127.0.0.1:{find_free_port()}/api"


def test_an_event_names_its_service_and_holds_its_facts() -> None:
    with run_receiver() as receiver:
        assert send_event(receiver.url("api"), "shop", "sluice.rollout.paused", {"version": 2})
        [[event]] = receiver.of("api/events")
    assert event["event"] == "sluice.rollout.paused"
    assert event["payload"] == {"version": 2}
    assert "shop" in str(event["resource"])


def test_a_page_is_published_under_its_key() -> None:
    with run_receiver() as receiver:
        assert send_page(receiver.url("api"), "# Shop", "shop-timeline", "what happened")
        [sent] = receiver.of("api/artifacts/")
    assert (sent["key"], sent["type"], sent["data"]) == ("shop-timeline", "markdown", "# Shop")


def test_what_the_server_refuses_was_not_taken() -> None:
    with run_receiver() as receiver:
        receiver.answer = 422
        assert not send_event(receiver.url("api"), "shop", "sluice.rollout.paused", {})
        assert not send_page(receiver.url("api"), "# Shop", "shop-timeline", "what happened")


def test_no_server_takes_nothing() -> None:
    assert not is_there("")
    assert not is_there(NOWHERE)
    assert not send_event(NOWHERE, "shop", "sluice.rollout.paused", {})
