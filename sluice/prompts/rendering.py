"""The request that a version of a prompt makes of a case."""

from collections.abc import Mapping

from sluice.prompts.chat import ChatMessage, ChatRequest, ToolDefinition
from sluice.prompts.template import fill_template
from sluice.prompts.version import CONTEXT, PromptVersion


def render_request(
    version: PromptVersion, given: Mapping[str, str] | str, context: tuple[str, ...] = ()
) -> ChatRequest:
    """Return what is sent to the model for one input.

    `given` are the variables, or a text where there is one; `context` are passages that replace
    the version's own.

    Raises:
        ValueError: a variable is missing or surplus, or there are passages and no `{context}`.
    """
    passages = context or version.context
    if context and CONTEXT not in version.placeholders:
        raise ValueError("found passages; allowed: with {context} in the version's texts")
    values = _read(version, given, passages)
    turns = list[ChatMessage]()
    for example in version.examples:
        own = _read(version, example.input, version.context)
        turns.append(ChatMessage("user", fill_template(version.template, own)))
        turns.append(ChatMessage("assistant", example.output))
    for turn in version.messages:
        turns.append(ChatMessage(turn.role, fill_template(turn.content, values)))
    turns.append(ChatMessage("user", fill_template(version.template, values)))
    return ChatRequest(
        model=version.model,
        messages=tuple(turns),
        max_tokens=version.max_tokens,
        system=fill_template(version.system, values) or None,
        temperature=version.temperature,
        tools=tuple(
            ToolDefinition(tool.name, tool.description, tool.parameters) for tool in version.tools
        ),
        output_schema=version.output_schema,
    )


def _read(
    version: PromptVersion, given: Mapping[str, str] | str, passages: tuple[str, ...]
) -> dict[str, str]:
    plain = given if isinstance(given, str) else dict(given)
    values = version.read_values(plain, has_context=bool(passages))
    return values | {CONTEXT: "\n\n".join(passages)} if passages else values
