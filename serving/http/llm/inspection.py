"""Guardrails on what callers ask: every text of a request, before a model sees any of it."""

from dataclasses import dataclass, replace

from serving.http.llm.asked import LanguageRequest
from serving.llm.guards import name_hits
from sluice.guardrails.actions import GuardrailRules, JudgedHit, is_blocking, mask_hits
from sluice.prompts.chat import ChatMessage, ChatRequest, ToolCall, ToolResult


@dataclass(frozen=True)
class InspectedRequest:
    """A request with its hits masked; `is_blocked`: no model may get it."""

    asked: LanguageRequest
    hits: tuple[str, ...] = ()
    is_blocked: bool = False


def inspect_request(rules: GuardrailRules, asked: LanguageRequest) -> InspectedRequest:
    """Return a request as its model may get it, and as it is logged."""
    if not rules:
        return InspectedRequest(asked)
    masker = _Masker(rules)
    variables = asked.variables
    changed = replace(
        asked,
        variables=masker.mask(variables)
        if isinstance(variables, str)
        else {name: masker.mask(value) for name, value in variables.items()},
        context=tuple(map(masker.mask, asked.context)),
        chat=asked.chat and masker.mask_chat(asked.chat),
    )
    hits = name_hits("input", masker.hits)
    return InspectedRequest(changed, hits, is_blocking(masker.hits))


class _Masker:
    """Masks text after text, and gathers what was hit."""

    def __init__(self, rules: GuardrailRules) -> None:
        self._rules = rules
        self.hits: list[JudgedHit] = []

    def mask(self, text: str) -> str:
        """Return a text with its hits masked."""
        found = self._rules.judge(text)
        self.hits += found
        return mask_hits(text, found)

    def mask_chat(self, chat: ChatRequest) -> ChatRequest:
        """Return a conversation with its hits masked, also those that tools gave back."""
        turns = tuple(self._mask_turn(turn) for turn in chat.messages)
        return replace(chat, messages=turns, system=chat.system and self.mask(chat.system))

    def _mask_turn(self, turn: ChatMessage) -> ChatMessage:
        calls = (
            ToolCall(item.name, self.mask(item.arguments), item.id) for item in turn.tool_calls
        )
        results = (ToolResult(item.call_id, self.mask(item.content)) for item in turn.tool_results)
        return ChatMessage(turn.role, self.mask(turn.content), tuple(calls), tuple(results))
