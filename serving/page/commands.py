"""Commands from the page: the form, the key's right, and the controller's answer."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import msgspec

from serving.http.keys import NO_KEY, UNKNOWN_KEY, Keyring
from serving.http.replies import CallFailed, Reply, explain, render_json
from serving.page.markup import Html, element, join
from serving.page.reading import StoreCache
from serving.page.view import CommandChoice, ServiceView
from sluice.adapters.control.commands import OBEYED, Commands
from sluice.control.command import RecordedCommand
from sluice.errors import CommandRefused
from sluice.rollout.state import Action

MAX_KEY, MAX_NAME, MAX_REASON = 200, 100, 500
"""Longest key, name and reason, in characters."""
ANSWER_SECONDS, POLL_SECONDS = 5.0, 0.2
"""How long a request waits for the controller's answer, and how often it looks for it."""
DESTRUCTIVE = frozenset({Action.PROMOTE, Action.ROLL_BACK, Action.ABORT})
"""Commands that the page asks to confirm."""
NEEDS = (
    "The buttons are enabled once you have typed a key with the right to control, "
    "your name and a reason."
)
NOT_ANSWERED = "no controller has answered yet; the list of commands will show its answer"
READ_ONLY = (
    "the page is read-only: no key with the right to control is configured; "
    "next: a line `SHA256 +control {service}` in the gateway's keys"
)


class CommandRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a command: what a person commands, their name and their reason."""

    action: str
    by: Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)]


def confirm_control(keyring: Keyring, key: bytes, service: str) -> None:
    """Accept a key that may control the service.

    Raises:
        CallFailed: 401 no key, or an unknown one; 403 it has not the right, or no key has it.
    """
    if not keyring.has_control:
        raise CallFailed(explain(403, READ_ONLY.format(service=service[:100])))
    if not keyring.knows(key):
        header = (b"www-authenticate", b"Bearer")
        raise CallFailed(explain(401, UNKNOWN_KEY if key else NO_KEY, "", header))
    if not keyring.controls(key, service):
        raise CallFailed(explain(403, f"this key may not control {service[:100]}"))


def decode_command(body: bytes) -> CommandRequest:
    """Return the command in a request's body.

    Raises:
        CallFailed: 422 the body is no command, or names an unknown one.
    """
    try:
        request = msgspec.json.decode(body, type=CommandRequest)
    except msgspec.DecodeError as error:
        raise CallFailed(explain(422, f"action, by, reason: {error}")) from error
    known = [item.value for item in Action]
    try:
        Action(request.action)
    except ValueError as error:
        message = f"action: found {request.action[:40]!r}; allowed: {', '.join(known)}"
        raise CallFailed(explain(422, message)) from error
    return request


class CommandHandler:
    """Hands commands to the controllers of open rollouts, through the control store."""

    def __init__(self, commands: Commands, cache: StoreCache) -> None:
        self._commands, self._cache = commands, cache

    async def handle(self, service: str, request: CommandRequest) -> Reply:
        """Store a command and wait a little for its answer; a refusal is 409 with its reason."""
        by, reason = request.by.strip(), request.reason.strip()
        now = datetime.now(UTC)
        action = Action(request.action).value
        give = partial(self._commands.give, service, action, by, reason, now, "status page")
        try:
            command = await self._cache.run(give)
        except CommandRefused as error:
            return explain(409, str(error))
        command = await self._await_answer(command)
        message = command.message or NOT_ANSWERED
        reply = {"sequence": command.sequence, "answer": command.answer, "message": message}
        if command.is_open:
            return render_json(reply, 202)
        if command.answer == OBEYED:
            return render_json(reply)
        return render_json({**reply, "error": command.message}, 409)

    async def _await_answer(self, command: RecordedCommand) -> RecordedCommand:
        deadline = time.monotonic() + ANSWER_SECONDS
        while command.is_open and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            found = await self._cache.run(partial(self._commands.find, command.sequence))
            command = found or command
        return command


def render_control(view: ServiceView, has_control: bool) -> Html:
    """Render the form; the script renews its buttons alone, so that typed text stays."""
    head = element("h2", "Control")
    if not has_control:
        return join(head, _explain_keys(view.service))
    return join(
        head,
        element(
            "form",
            _render_field("key", "API key with the right to control", "password", MAX_KEY),
            _render_field("by", "Your name", "text", MAX_NAME),
            _render_field("reason", "Your reason, in a sentence", "text", MAX_REASON),
            element("p", NEEDS, id="needs", class_="faint"),
            element("p", id="answer", role="status"),
            element("div", render_choices(view), id="live-choices", data_live=True),
            id="control",
            autocomplete="off",
        ),
        element("noscript", element("p", "Commands need the page's script.", class_="faint")),
    )


def render_choices(view: ServiceView) -> Html:
    """Render the buttons, with the reason where one is, or all are, unavailable."""
    reasons = {choice.unavailable_reason for choice in view.choices}
    shared = reasons.pop() if len(reasons) == 1 else ""
    return join(
        element("p", f"No command now: {shared}.", class_="faint") if shared else None,
        element("ul", *(_render_choice(one, shared) for one in view.choices), class_="choices"),
    )


def _render_choice(choice: CommandChoice, shared: str) -> Html:
    button = element(
        "button",
        choice.action,
        type="button",
        name="action",
        value=choice.action,
        id=f"do-{choice.action}",
        class_="destructive" if choice.action in DESTRUCTIVE else None,
        title=choice.meaning,
        disabled=bool(choice.unavailable_reason),
        data_available=not choice.unavailable_reason,
    )
    text = None if shared else element("small", choice.unavailable_reason or choice.meaning)
    return element("li", button, text)


def _render_field(name: str, label: str, kind: str, most: int) -> Html:
    field = element("input", name=name, id=name, type=kind, maxlength=most, autocomplete="off")
    return element("label", label, field)


def _explain_keys(service: str) -> Html:
    line = f"SHA256 +control {service}"
    return join(
        element("p", "This page is read-only: no API key with the right to control is configured."),
        element(
            "p",
            "To get buttons, add a line ",
            element("code", line),
            " to the gateway's key file (",
            element("code", "keys_file"),
            ") or to ",
            element("code", "SLUICE_GATEWAY_KEYS"),
            ", and restart this page. Until then use ",
            element("code", f"sluice rollout-control {service}"),
            " or the form in Prefect.",
            class_="faint",
        ),
    )
