"""What both dialects have in common: turns of a conversation, and prompts asked by their name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from serving.http.llm.asked import PROMPT, LanguageRequest
from sluice.documents import parse_json
from sluice.errors import RequestInvalid
from sluice.prompts.chat import ChatMessage


class BodyMessage(msgspec.Struct, kw_only=True):
    """A message; its content is a text, or blocks of which texts alone are understood."""

    content: str | list[dict[str, Any]] | None = None


def read_text(content: str | list[dict[str, Any]] | None, place: str) -> str:
    """Return the text of a content.

    Raises:
        RequestInvalid: it has a block that is no text, such as an image.
    """
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for number, block in enumerate(content):
        kind, text = block.get("type"), block.get("text")
        if kind != "text" or not isinstance(text, str):
            raise RequestInvalid(f"{place}.{number}.type: found {kind!r}; allowed: 'text'")
        texts.append(text)
    return "".join(texts)


def read_arguments(text: str, place: str) -> str:
    """Return a call's arguments, which have to be JSON.

    Raises:
        RequestInvalid: they are not.
    """
    try:
        parse_json(text or "{}")
    except ValueError as error:
        raise RequestInvalid(f"{place}: found arguments that are not JSON") from error
    return text or "{}"


def require_one_answer(found: int) -> None:
    """Refuse a request for several answers.

    Raises:
        RequestInvalid: there are several.
    """
    if found != 1:
        raise RequestInvalid(f"n: found {found}; allowed: 1")


def fill_prompt(
    asked: LanguageRequest,
    variables: dict[str, str] | str | None,
    system: str,
    turns: Sequence[ChatMessage],
    given: Sequence[str],
) -> LanguageRequest | None:
    """Return a request to a prompt that a dialect names as its model; None for a model itself.

    Without variables the one message's text fills the prompt's one variable. `given` are keys that
    the prompt's version decides.

    Raises:
        RequestInvalid: the caller decides what the version does, or sends a conversation; or fills
            variables of a model.
    """
    if not asked.name.startswith(PROMPT):
        if variables is not None or asked.context:
            raise RequestInvalid(f"variables: found some; allowed: with a model {PROMPT}NAME")
        return None
    if system or given:
        key = "system" if system else given[0]
        raise RequestInvalid(
            f"{key}: found one; allowed: none with a model {PROMPT}NAME, whose version has its own"
        )
    texts = [turn.content for turn in turns]
    fits = len(turns) == 1 and turns[0].role == "user" and not turns[0].tool_results
    if variables is not None and turns:
        raise RequestInvalid("messages: found some; allowed: none beside variables")
    if variables is None and not fits:
        raise RequestInvalid(
            f"messages: found {len(turns)}; allowed: with a model {PROMPT}NAME one message of the "
            "user, whose text fills the one variable, or variables"
        )
    filled = texts[0] if variables is None else variables
    return replace(asked, prompt=asked.name.removeprefix(PROMPT), variables=filled)
