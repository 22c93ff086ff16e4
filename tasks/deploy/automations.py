"""A notification as Prefect objects: the block that sends it and its automations."""

import os
import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import UUID

from prefect.automations import AutomationCore
from prefect.blocks.core import Block
from prefect.blocks.notifications import PagerDutyWebHook, SlackWebhook
from prefect.blocks.system import Secret as SecretBlock
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger
from prefect.events.schemas.events import ResourceSpecification
from pydantic import SecretStr

from sluice.config.deployments import MARK
from sluice.config.notifications import (
    EmailNotification,
    Notification,
    PagerDutyNotification,
    Secret,
    SlackNotification,
    WebhookNotification,
)
from sluice.config.yaml_file import KeyInvalid
from sluice.events import RUN_EVENTS, SERVICE_EVENTS
from sluice.report.notification import (
    DOCUMENT,
    group_events,
    name_on_server,
    write_text,
    write_title,
)

PREFIX = "sluice-"
"""Prefix of the names of our blocks."""
SLACK = re.compile(r"https://hooks\.slack(-gov)?\.com/services/\w+/\w+/\w+/?")
ANSWER_SECONDS = 30
"""Time in which a webhook must answer, else the call counts as failed."""


def name_block(notification: str) -> str:
    """Return the name of a notification's block."""
    return PREFIX + notification


def make_block(entry: Notification) -> Block:
    """Build the block of a notification; the server is only asked for secrets.

    Raises:
        KeyInvalid: a secret is missing, or is not valid for the kind.
    """
    match entry:
        case SlackNotification():
            return _build_slack(entry)
        case PagerDutyNotification():
            return _build_pagerduty(entry)
        case EmailNotification():
            return _build_email(entry)
        case WebhookNotification():
            return _build_webhook(entry)


def read_secret(secret: Secret, key: str) -> str:
    """Return a secret's value from the environment or from a Secret block.

    Raises:
        KeyInvalid: it is missing or empty.
    """
    if secret.env is not None:
        if value := os.environ.get(secret.env, "").strip():
            return value
        raise KeyInvalid(
            f"{key}.env",
            f"the environment variable {secret.env} is not set; next: set it where `sluice deploy`"
            " runs",
        )
    try:
        found = SecretBlock.load(str(secret.block)).get()  # type: ignore[union-attr]
    except ValueError as error:
        raise KeyInvalid(
            f"{key}.block",
            f"the server has no Secret block '{secret.block}'; next: create it at Blocks in its UI",
        ) from error
    return str(found)


def _build_slack(entry: SlackNotification) -> Block:
    url = read_secret(entry.url, "url")
    if not SLACK.fullmatch(url):
        raise KeyInvalid(
            "url",
            "the secret is no address of an incoming webhook; allowed:"
            " https://hooks.slack.com/services/A/B/C; next: for another address use kind webhook",
        )
    return SlackWebhook(url=SecretStr(url), notify_type="info")


def _build_pagerduty(entry: PagerDutyNotification) -> Block:
    key = read_secret(entry.integration_key, "integration_key")
    api_key = read_secret(entry.api_key, "api_key")
    try:
        return PagerDutyWebHook(
            integration_key=SecretStr(key),
            api_key=SecretStr(api_key),
            notify_type=entry.severity,
            region_name=entry.region,
            source="Sluice",
            component=entry.name,
        )
    except TypeError as error:  # how Apprise reports a malformed key
        raise KeyInvalid(
            "integration_key",
            "the secret, or that of api_key, is no key of PagerDuty; allowed: letters, digits,"
            " - and _",
        ) from error


def _build_email(entry: EmailNotification) -> Block:
    login = ""
    if entry.password is not None:
        password = quote(read_secret(entry.password, "password"), safe="")
        login = f"{quote(entry.user, safe='')}:{password}@"
    secure = entry.security != "none"
    words = {
        "from": f"Sluice <{entry.sender}>",
        "to": ",".join(entry.to),
        "mode": entry.security if secure else "insecure",
        "format": "text",
    }
    return _build_apprise(
        "mailtos" if secure else "mailto", f"{login}{entry.host}:{entry.port}", words
    )


def _build_webhook(entry: WebhookNotification) -> Block:
    url = urlsplit(read_secret(entry.url, "url"))
    if url.scheme not in ("http", "https") or not url.hostname:
        raise KeyInvalid("url", "the secret is no address; allowed: http://... or https://...")
    headers = {
        name: read_secret(value, f"headers.{name}") if isinstance(value, Secret) else value
        for name, value in entry.headers.items()
    }
    words = {
        "method": entry.method,
        "redirect": "no",
        "cto": f"{ANSWER_SECONDS}",
        "rto": f"{ANSWER_SECONDS}",
        ":version": "",
        ":attachments": "",
        ":type": "",
        ":title": entry.title_key,
        ":message": entry.text_key,
        **{f"+{name}": quote(value) for name, value in headers.items()},
        **{f"-{name}": quote(value) for name, value in parse_qsl(url.query, True)},
    }
    if url.path.endswith("/"):
        words["_"] = "/"  # Apprise drops the path's last slash unless its own address has it
    return _build_apprise(
        "jsons" if url.scheme == "https" else "json", f"{url.netloc}{url.path}", words
    )


def _build_apprise(scheme: str, place: str, words: dict[str, str]) -> Block:
    """Return a block for any Apprise address: Prefect's core has one, which is named for Slack.

    Its webhook blocks are not used: one cancels calls that overlap, the other repeats a call that
    was answered by an error up to four times.
    """
    url = f"{scheme}://{place}?{urlencode(words, safe='/')}"
    return SlackWebhook(url=SecretStr(url), notify_type="info")


TAG = "notification"
"""A tag of our automations; another has the notification's name."""
TITLE = "notification "
"""Prefix of our automations' names, by which a failed one is recognised."""
NOTICE = "notice"
"""The flow that reports failed automations; notifying of its own runs would be a loop."""


def write_automations(entry: Notification, block: UUID, flows: list[str]) -> list[AutomationCore]:
    """Return the automations of a notification: one each for services, flow runs and triggers.

    `flows` are those whose failed runs it reports, if it has such events.
    """
    return [
        AutomationCore(
            name=TITLE + entry.name + ("" if group[0] in SERVICE_EVENTS else f", {group[0]}"),
            description=f"Notifies by {entry.kind}: {', '.join(group)}.",
            enabled=entry.enabled,
            tags=[MARK, TAG, tag_name(entry.name)],
            trigger=_write_trigger(entry, group, flows),
            actions=[_write_action(entry, group, block)],
        )
        for group in group_events(entry.names)
    ]


def tag_name(name: str) -> str:
    """Return the tag of one notification's automations."""
    return f"{TAG}:{name}"


def _write_trigger(entry: Notification, group: list[str], flows: list[str]) -> EventTrigger:
    """Return the trigger; each of the events fires it alone."""
    match, related = _match_services(entry), list[ResourceSpecification]()
    if group[0] in RUN_EVENTS:
        match = {"prefect.resource.id": "prefect.flow-run.*"}
        names = [flow for flow in flows if flow != NOTICE]
        related = [_specify(role="flow", name=names)]
        if entry.services:
            tags = [f"prefect.tag.service:{service}" for service in entry.services]
            related.append(_specify(role="tag", id=tags))
    elif group[0] not in SERVICE_EVENTS:
        match = {
            "prefect.resource.id": "prefect.automation.*",
            "prefect.resource.name": f"!{TITLE}*",
        }
    return EventTrigger(
        expect={name_on_server(event) for event in group},
        match=ResourceSpecification(match),
        match_related=related,
        posture="Reactive",
        threshold=1,
    )


def _match_services(entry: Notification) -> dict[str, str | list[str]]:
    if not entry.services:
        return {"prefect.resource.id": "sluice.service.*"}
    return {"prefect.resource.id": [f"sluice.service.{service}" for service in entry.services]}


def _specify(**labels: str | list[str]) -> ResourceSpecification:
    return ResourceSpecification({f"prefect.resource.{key}": text for key, text in labels.items()})


def write_message(entry: Notification, group: list[str]) -> tuple[str, str]:
    """Return the templates of a notification's first line and of its other lines."""
    text, has_title = entry.text, False
    if isinstance(entry, WebhookNotification):
        text = DOCUMENT if entry.format == "json" else text
        has_title = not entry.title_key
    return write_title(group, entry.title), write_text(group, entry.title, text, has_title)


def _write_action(entry: Notification, group: list[str], block: UUID) -> SendNotification:
    subject, body = write_message(entry, group)
    return SendNotification(block_document_id=block, subject=subject, body=body)
