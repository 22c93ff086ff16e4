"""Who is notified of which events, and how: `notifications` in `deployments.yaml`."""

import difflib
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from sluice.config.yaml_file import KeyInvalid, Section
from sluice.events import EVENTS, expand_event

Address = Annotated[str, Field(pattern=r"^[^@\s,<>]+@[^@\s,<>]+\.[^@\s,<>]+$")]


class Secret(Section):
    """The place of a secret, one of two; no file of ours holds the secret itself."""

    env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """An environment variable, read where `sluice deploy` runs."""
    block: str | None = Field(None, min_length=1)
    """A Secret block on the Prefect server, by its name."""

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.env is None) == (self.block is None):
            raise ValueError("give one of env (a variable's name) and block (a Secret block's)")
        return self


class NotificationBase(Section):
    """The keys that every kind of notification has."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    events: list[str] = Field(min_length=1)
    """Names of events, or `rollout.*` for all with that prefix."""
    services: list[str] = Field(default_factory=list)
    """Only events of these services; of all if left out."""
    enabled: bool = True
    title: str = ""
    """Template of the first line; the default if empty."""
    text: str = ""
    """Template of the other lines; the default if empty."""

    @field_validator("events")
    @classmethod
    def _are_events(cls, events: list[str]) -> list[str]:
        for index, event in enumerate(events):
            if not expand_event(event):
                close = difflib.get_close_matches(event, EVENTS, 1)
                hint = f" (did you mean `{close[0]}`?)" if close else ""
                allowed = ", ".join(EVENTS)
                raise KeyInvalid(f"{index}", f"no event '{event}'{hint}; allowed: {allowed}")
        return events

    @property
    def names(self) -> set[str]:
        """The names of all events that it sends."""
        return {name for event in self.events for name in expand_event(event)}


class SlackNotification(NotificationBase):
    """A message in a Slack channel."""

    kind: Literal["slack"]
    url: Secret
    """The incoming webhook's address, `https://hooks.slack.com/services/...`."""


class PagerDutyNotification(NotificationBase):
    """An incident in PagerDuty."""

    kind: Literal["pagerduty"]
    integration_key: Secret
    api_key: Secret
    severity: Literal["info", "success", "warning", "failure"] = "failure"
    region: Literal["us", "eu"] = "us"


class EmailNotification(NotificationBase):
    """A mail to each recipient, through a mail server."""

    kind: Literal["email"]
    host: str = Field(pattern=r"^[A-Za-z0-9.-]+$")
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "ssl", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    sender: Address
    to: list[Address] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> Self:
        if bool(self.user) != bool(self.password):
            raise ValueError("give both of user and password, or neither")
        return self


class WebhookNotification(NotificationBase):
    """A JSON document with a title and a text, to any address."""

    kind: Literal["webhook"]
    url: Secret
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str | Secret] = Field(default_factory=dict)
    format: Literal["words", "json"] = "words"
    """The text's format: words, or a JSON document with all details, as a string."""
    title_key: str = Field("title", pattern=r"^([A-Za-z_][A-Za-z0-9_-]*)?$")
    """The JSON key of the first line; if empty it goes before the text."""
    text_key: str = Field("text", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")

    @model_validator(mode="after")
    def _has_one_text(self) -> Self:
        if self.text and self.format == "json":
            raise KeyInvalid("text", "give a text, or `format: json`, which writes one")
        if self.title_key == self.text_key:
            raise KeyInvalid("text_key", "is the title's key already")
        return self


Notification = Annotated[
    SlackNotification | PagerDutyNotification | EmailNotification | WebhookNotification,
    Field(discriminator="kind"),
]
