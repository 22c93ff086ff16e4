"""The blocks that hold where notifications go, made of the file and of secrets that it names."""

import os
import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from prefect.blocks.core import Block
from prefect.blocks.notifications import PagerDutyWebHook, SlackWebhook
from prefect.blocks.system import Secret as SecretBlock
from pydantic import SecretStr

from sluice.config.notifications import (
    EmailNotification,
    Notification,
    PagerDutyNotification,
    Secret,
    SlackNotification,
    WebhookNotification,
)
from sluice.config.section import KeyInvalid

PREFIX = "sluice-"
"""How the names of our blocks begin."""
SLACK = re.compile(r"https://hooks\.slack(-gov)?\.com/services/\w+/\w+/\w+/?")
ANSWER_SECONDS = 30
"""How long a webhook may take to answer before the call counts as failed."""


def name_block(notification: str) -> str:
    """Give the name of a notification's block."""
    return PREFIX + notification


def make_block(entry: Notification) -> Block:
    """Make the block of a notification; nothing is sent to a server but questions for secrets.

    Raises:
        KeyInvalid: a secret is missing, or is not what the kind takes.
    """
    match entry:
        case SlackNotification():
            return _make_slack(entry)
        case PagerDutyNotification():
            return _make_pagerduty(entry)
        case EmailNotification():
            return _make_email(entry)
        case WebhookNotification():
            return _make_webhook(entry)


def read_secret(secret: Secret, key: str) -> str:
    """Give a secret's value from the environment or from a Secret block.

    Raises:
        KeyInvalid: it is not there, or it is empty.
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
            f"the server has no Secret block '{secret.block}'; next: make it at Blocks in its UI",
        ) from error
    return str(found)


def _make_slack(entry: SlackNotification) -> Block:
    url = read_secret(entry.url, "url")
    if not SLACK.fullmatch(url):
        raise KeyInvalid(
            "url",
            "what is stored there is no address of an incoming webhook; allowed:"
            " https://hooks.slack.com/services/A/B/C; next: for another address use kind webhook",
        )
    return SlackWebhook(url=SecretStr(url), notify_type="info")


def _make_pagerduty(entry: PagerDutyNotification) -> Block:
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
    except TypeError as error:  # Apprise's word for a key of a wrong form
        raise KeyInvalid(
            "integration_key",
            "what is stored there, or as api_key, is no key of PagerDuty; allowed: letters, digits,"
            " - and _",
        ) from error


def _make_email(entry: EmailNotification) -> Block:
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
    return _make_any("mailtos" if secure else "mailto", f"{login}{entry.host}:{entry.port}", words)


def _make_webhook(entry: WebhookNotification) -> Block:
    url = urlsplit(read_secret(entry.url, "url"))
    if url.scheme not in ("http", "https") or not url.hostname:
        raise KeyInvalid(
            "url", "what is stored there is no address; allowed: http://... or https://..."
        )
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
        words["_"] = "/"  # Apprise drops the path's last slash but where its own address ends so
    return _make_any("jsons" if url.scheme == "https" else "json", f"{url.netloc}{url.path}", words)


def _make_any(scheme: str, place: str, words: dict[str, str]) -> Block:
    """Give the one block of Prefect's core that takes any Apprise address; it is named for Slack.

    Its own webhook blocks are not used: one breaks off calls that overlap, the other sends up to
    four times what was answered by an error.
    """
    url = f"{scheme}://{place}?{urlencode(words, safe='/')}"
    return SlackWebhook(url=SecretStr(url), notify_type="info")
