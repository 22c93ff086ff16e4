"""What a notification says of an event, filled in as the server does."""

from types import SimpleNamespace
from typing import Any

from prefect.server.utilities.user_templates import render_user_template_sync

from sluice.config.notifications import Secret, SlackNotification
from sluice.events import EVENTS
from sluice.report.notification import group_events
from tasks.deploy.automations import write_message

OCCURRED = SimpleNamespace(strftime=lambda _: "2026-01-02 03:04:05")


def fill(event: str, **payload: Any) -> tuple[str, str]:
    """Return title and text of an event of the service `shop`."""
    entry = SlackNotification(name="a", kind="slack", url=Secret(env="U"), events=[event])
    title, text = write_message(entry, group_events(entry.names)[0])
    emitted = SimpleNamespace(
        event=event,
        payload=payload,
        resource={"prefect.resource.name": "shop"},
        occurred=OCCURRED,
    )
    context = {"event": emitted}
    return (
        render_user_template_sync(title, context),
        render_user_template_sync(text, context),
    )


def test_event_of_a_version_has_its_words_reason_and_usual_next_step() -> None:
    title, text = fill("rollout.paused", version=5, reason="a launch at noon")
    assert title == "shop v5: the rollout is paused"
    assert text.splitlines() == [
        "a launch at noon",
        "Next: `sluice rollout-control shop resume --by NAME --reason WORDS`",
        "rollout.paused at 2026-01-02 03:04:05 UTC",
    ]


def test_next_step_that_the_event_has_takes_the_place_of_the_usual_one() -> None:
    _, text = fill("gate.undecided", gate="evaluation", next="take more rows")
    assert EVENTS["gate.undecided"].next_step
    assert text.splitlines()[0] == "Next: take more rows"


def test_event_without_version_or_reason_has_neither() -> None:
    assert fill("gate.passed", gate="data") == (
        "shop: the data gate passed",
        "gate.passed at 2026-01-02 03:04:05 UTC",
    )
