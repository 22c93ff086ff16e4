"""The blocks send what Slack, PagerDuty and a mail server take, over real HTTP and SMTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from prefect.blocks.abstract import NotificationError

from sluice.config.notifications import (
    EmailNotification,
    PagerDutyNotification,
    Secret,
    SlackNotification,
    WebhookNotification,
)
from support.servers.receiver import MailServer, Receiver, run_mail_server, run_receiver
from tasks.deploy.automations import make_block

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise imports it
TITLE, TEXT = "shop v5: rolled back", 'errors 3 % > 1 % & "more" <all>\nNext: look at it'
EVENTS = ["rollout.rolled-back"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with run_mail_server() as server:
        yield server


def send(block: Any) -> None:
    """Send as the server's action does."""
    with block.raise_on_failure():
        block.notify(subject=TITLE, body=TEXT)


def test_slack_gets_a_message_under_its_title(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pragma: allowlist nextline secret
    monkeypatch.setenv("URL", "https://hooks.slack.com/services/T0000/B0000/abcdef")
    entry = SlackNotification(name="team", kind="slack", url=Secret(env="URL"), events=EVENTS)
    block = make_block(entry)
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", receiver.url("services"))
    send(block)
    (document,) = receiver.of("services/T0000/B0000/abcdef")
    (message,) = document["attachments"]
    assert message["title"] == TITLE
    assert message["text"] == TEXT.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_pagerduty_gets_an_incident_with_its_severity(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "integration0key")
    monkeypatch.setenv("API", "api0key")
    block = make_block(
        PagerDutyNotification(
            name="on-call",
            kind="pagerduty",
            integration_key=Secret(env="KEY"),
            api_key=Secret(env="API"),
            events=EVENTS,
        )
    )
    from apprise.plugins import pagerduty

    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", receiver.url("enqueue"))
    send(block)
    (document,) = receiver.of("enqueue")
    assert document["routing_key"] == "integration0key"
    assert document["event_action"] == "trigger"
    payload = document["payload"]
    assert (payload["summary"].strip(), payload["severity"]) == (TITLE, "critical")
    assert (payload["source"], payload["component"]) == ("Sluice", "on-call")
    assert TEXT in payload["custom_details"].values()


def test_each_recipient_gets_a_mail(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EmailNotification(
        name="mail",
        kind="email",
        host="127.0.0.1",
        port=mail_server.port,
        security="none",
        sender="sluice@example.org",
        to=["ada@example.org", "grace@example.org"],
        events=EVENTS,
    )
    send(make_block(entry))
    assert sorted(to for to, _ in mail_server.mails) == [
        "rcpt TO:<ada@example.org>",
        "rcpt TO:<grace@example.org>",
    ]
    mail = mail_server.mails[0][1]
    assert (mail["Subject"], mail["From"]) == (TITLE, "Sluice <sluice@example.org>")
    body = mail.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().strip() == TEXT


def test_webhook_gets_what_its_address_and_headers_say(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", receiver.url("in/the room/?key=a%2Bb%20c&empty="))
    monkeypatch.setenv("TOKEN", "Bearer a%20b+c/d==")
    entry = WebhookNotification(
        name="anyone",
        kind="webhook",
        url=Secret(env="URL"),
        method="PUT",
        headers={"Authorization": Secret(env="TOKEN"), "X-Team": "ours"},
        title_key="subject",
        events=EVENTS,
    )
    send(make_block(entry))
    (found,) = receiver.received
    assert found.path == "/in/the%20room/?key=a%2Bb+c&empty="
    assert (found.headers["Authorization"], found.headers["X-Team"]) == (
        "Bearer a%20b+c/d==",
        "ours",
    )
    assert found.headers["Content-Type"] == "application/json"
    assert found.document == {"subject": TITLE, "text": TEXT}


def test_webhook_with_one_key_gets_one(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", receiver.url("hook"))
    entry = WebhookNotification(
        name="anyone",
        kind="webhook",
        url=Secret(env="URL"),
        title_key="",
        text_key="content",
        events=EVENTS,
    )
    send(make_block(entry))
    assert receiver.of("hook") == [{"content": TEXT}]


def test_answer_that_is_an_error_or_leads_elsewhere_is_a_failure_after_one_call(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", receiver.url("hook"))
    entry = WebhookNotification(name="a", kind="webhook", url=Secret(env="URL"), events=EVENTS)
    for answer in (500, 404, 302):
        receiver.answer = answer
        with pytest.raises(NotificationError):
            send(make_block(entry))
    assert len(receiver.received) == 3
