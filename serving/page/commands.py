"""Commands from the page: the panel that offers them, the key, and the controller's answer."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import msgspec

from serving.http.keys import Keyring
from serving.http.replies import CallFailed, Reply, explain, render_json
from serving.page.markup import Html, element, join
from serving.page.reading import StoreReadings
from serving.page.view import CommandChoice, ServiceView
from sluice.adapters.control.commands import OBEYED, Commands
from sluice.control.command import RecordedCommand
from sluice.errors import CommandRefused
from sluice.rollout.state import Action

BY_MOST, WHY_MOST = 100, 500
"""Longest name and reason, in characters."""
NEEDS = "The buttons open once a key that may control, a name and a reason are there."
GRAVE = frozenset({"promote now", "roll back", "abort"})


def render_steering(view: ServiceView, has_control: bool) -> Html:
    """Give the panel; its buttons are renewed apart, so that what is typed stays."""
    head = element("h2", "Steer")
    if not has_control:
        return join(head, _explain_keys(view.service))
    return join(
        head,
        element(
            "form",
            _ask("key", "API key with the right to control", "password", 200),
            _ask("by", "Your name", "text", BY_MOST),
            _ask("why", "Your reason, in a sentence", "text", WHY_MOST),
            element("p", NEEDS, id="needs", class_="faint"),
            element("p", id="answer", role="status"),
            element("div", render_choices(view), id="live-choices", data_live=True),
            id="steer",
            autocomplete="off",
        ),
        element("noscript", element("p", "Commands need the page's script.", class_="faint")),
    )


def render_choices(view: ServiceView) -> Html:
    """Give the buttons; one that makes no sense now says why, once where all share it."""
    reasons = {choice.why_not for choice in view.choices}
    shared = reasons.pop() if len(reasons) == 1 else ""
    return join(
        element("p", f"No command now: {shared}.", class_="faint") if shared else None,
        element("ul", *(_render_choice(one, shared) for one in view.choices), class_="choices"),
    )


def _render_choice(choice: CommandChoice, shared: str) -> Html:
    kind = "grave" if choice.action in GRAVE else None
    button = element(
        "button",
        choice.action,
        type="button",
        name="action",
        value=choice.action,
        id=f"do-{choice.action.replace(' ', '-')}",
        class_=kind,
        title=choice.meaning,
        disabled=bool(choice.why_not),
        data_sensible=not choice.why_not,
    )
    words = None if shared else element("small", choice.why_not or choice.meaning)
    return element("li", button, words)


def _ask(name: str, label: str, kind: str, most: int) -> Html:
    field = element("input", name=name, id=name, type=kind, maxlength=most, autocomplete="off")
    return element("label", label, field)


def _explain_keys(service: str) -> Html:
    line = f"SHA256 +control {service}"
    return join(
        element("p", "This page is read-only: no API key with the right to control is configured."),
        element(
            "p",
            "For buttons, add a line ",
            element("code", line),
            " to the gateway's key file (",
            element("code", "keys_file"),
            ") or to ",
            element("code", "SLUICE_GATEWAY_KEYS"),
            ", and start this page again. Meanwhile ",
            element("code", f"sluice rollout-control {service}"),
            " and the form in Prefect do the same.",
            class_="faint",
        ),
    )


ANSWER_SECONDS, POLL_SECONDS = 5.0, 0.2
"""How long the controller's answer is waited for; after that the list of commands shows it."""
WAITS = "no controller has taken it yet; the list of commands shows its answer"
READ_ONLY = (
    "the page is read-only: no key with the right to control is configured; "
    "next: a line `SHA256 +control SERVICE` in the gateway's keys"
)


class CommandRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a person asks for."""

    action: str
    by: Annotated[str, msgspec.Meta(max_length=BY_MOST)]
    reason: Annotated[str, msgspec.Meta(max_length=WHY_MOST)]


def confirm_control(keyring: Keyring, key: bytes, service: str) -> None:
    """Let through whose key controls a service.

    Raises:
        CallFailed: 401 no key that is known, 403 one without the right, or nobody has it.
    """
    if not keyring.has_control:
        raise CallFailed(explain(403, READ_ONLY))
    if not keyring.knows(key):
        header = (b"www-authenticate", b"Bearer")
        raise CallFailed(explain(401, "an API key with the right to control is needed", "", header))
    if not keyring.controls(key, service):
        raise CallFailed(explain(403, f"this key may not control {service[:100]}"))


def decode_command(body: bytes) -> CommandRequest:
    """Read what is asked for.

    Raises:
        CallFailed: 422 it is not that, or names an unknown command.
    """
    try:
        wanted = msgspec.json.decode(body, type=CommandRequest)
    except msgspec.DecodeError as error:
        raise CallFailed(explain(422, f"action, by, reason: {error}")) from error
    known = [item.value for item in Action]
    if wanted.action not in known:
        found = f"action: found {wanted.action[:40]!r}; allowed: {', '.join(known)}"
        raise CallFailed(explain(422, found))
    return wanted


class Commanding:
    """Puts commands to the rollouts under way."""

    def __init__(self, commands: Commands, readings: StoreReadings) -> None:
        self._commands, self._readings = commands, readings

    async def take(self, service: str, wanted: CommandRequest) -> Reply:
        """Give a command and wait a little for its answer; a refusal is 409 with its reason."""
        words = wanted.by.strip(), wanted.reason.strip()
        try:
            given = await self._readings.run(self._giving(service, wanted.action, *words))
        except CommandRefused as error:
            return explain(409, str(error))
        given = await self._await_answer(given)
        told = {"sequence": given.sequence, "answer": given.answer, "words": given.words or WAITS}
        if given.is_open:
            return render_json(told, 202)
        if given.answer == OBEYED:
            return render_json(told)
        return render_json({**told, "error": given.words}, 409)

    def _giving(
        self, service: str, action: str, by: str, why: str
    ) -> Callable[[], RecordedCommand]:
        return lambda: self._commands.give(service, action, by, why, datetime.now(UTC))

    async def _await_answer(self, given: RecordedCommand) -> RecordedCommand:
        deadline = time.monotonic() + ANSWER_SECONDS
        while given.is_open and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            find = partial(self._commands.find, given.sequence)
            found = await self._readings.run(find)
            given = found or given
        return given
