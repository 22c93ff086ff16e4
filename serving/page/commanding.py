"""A command from the page: whose key it is, what was asked, and what the controller answered."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import msgspec

from serving.keys import Keyring
from serving.page.freshness import Readings
from serving.page.steering import BY_MOST, WHY_MOST
from serving.reply import CallFailed, Reply, explain, render_json
from sluice.adapters.control.commands import OBEYED, Commands
from sluice.control.command import GivenCommand
from sluice.errors import CommandRefused
from sluice.rollout.phases import Action

ANSWER_SECONDS, POLL_SECONDS = 5.0, 0.2
"""How long the controller's answer is waited for; after that the list of commands shows it."""
WAITS = "no controller has taken it yet; the list of commands shows its answer"
READ_ONLY = (
    "the page is read-only: no key with the right to control is configured; "
    "next: a line `SHA256 +control SERVICE` in the gateway's keys"
)


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
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


def decode_command(body: bytes) -> Wanted:
    """Read what is asked for.

    Raises:
        CallFailed: 422 it is not that, or names an unknown command.
    """
    try:
        wanted = msgspec.json.decode(body, type=Wanted)
    except msgspec.DecodeError as error:
        raise CallFailed(explain(422, f"action, by, reason: {error}")) from error
    known = [item.value for item in Action]
    if wanted.action not in known:
        found = f"action: found {wanted.action[:40]!r}; allowed: {', '.join(known)}"
        raise CallFailed(explain(422, found))
    return wanted


class Commanding:
    """Puts commands to the rollouts under way."""

    def __init__(self, commands: Commands, readings: Readings) -> None:
        self._commands, self._readings = commands, readings

    async def take(self, service: str, wanted: Wanted) -> Reply:
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

    def _giving(self, service: str, action: str, by: str, why: str) -> Callable[[], GivenCommand]:
        return lambda: self._commands.give(service, action, by, why, datetime.now(UTC))

    async def _await_answer(self, given: GivenCommand) -> GivenCommand:
        deadline = time.monotonic() + ANSWER_SECONDS
        while given.is_open and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            find = partial(self._commands.find, given.sequence)
            found = await self._readings.run(find)
            given = found or given
        return given
