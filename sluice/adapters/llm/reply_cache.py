"""Replies on the disk, by what decided them: an unchanged case of an evaluation costs nothing."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from sluice.adapters.llm.local import find_local_weights
from sluice.adapters.storage import draft_file, explain_os_error
from sluice.config.llm.providers import LocalProvider
from sluice.documents import read_json
from sluice.prompts.calls.choice import ModelChoice
from sluice.prompts.chat import ChatReply, ChatRequest, TokenUsage, ToolCall

FORMAT = 1
"""Changes with what a file holds; files of another format are not read."""


def find_revision(choice: ModelChoice) -> str:
    """Return what tells a model from every other: provider, address, id, and local weights.

    Raises:
        ProviderRefused: it is the local model, which is not installed.
    """
    weights = ""
    if isinstance(choice.provider, LocalProvider):
        weights = find_local_weights().revision
    return json.dumps([choice.model.provider, choice.place, choice.model.id, weights])


class ReplyCache:
    """A folder of replies; a key is the request, the sample's index and the model's revision.

    A file appears whole or not at all, so that a kill at any moment and runs at once do no harm.
    A file that a failing disk left damaged is read as missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, request: ChatRequest, sample: int, revision: str) -> ChatReply | None:
        """Return the reply to a request; None where there is none."""
        key = _make_key(request, sample, revision)
        try:
            found = read_json(self._place(key))
            content = found["reply"]
            if found["key"] != key or found["digest"] != _digest(content):
                return None
            return _read_reply(content)
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def store(self, request: ChatRequest, sample: int, revision: str, reply: ChatReply) -> None:
        """Keep a reply; of two for one key the later stays.

        Raises:
            StorageFull: there is no room.
            DataUnavailable: the folder cannot be written.
        """
        key = _make_key(request, sample, revision)
        content = asdict(reply)
        text = json.dumps({"key": key, "digest": _digest(content), "reply": content})
        place = self._place(key)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with draft_file(place) as draft:
                draft.write_text(text, encoding="utf-8")
        except OSError as error:
            raise explain_os_error(error, f"reply cache {self._folder}") from error

    def _place(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"


def _make_key(request: ChatRequest, sample: int, revision: str) -> str:
    return sha256(f"{FORMAT}\n{request.digest}\n{sample}\n{revision}".encode()).hexdigest()


def _digest(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_reply(content: dict[str, Any]) -> ChatReply:
    usage = TokenUsage(**content.pop("usage"))
    calls = tuple(ToolCall(**call) for call in content.pop("tool_calls"))
    return ChatReply(**content, usage=usage, tool_calls=calls)
