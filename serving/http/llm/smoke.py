"""The smoke test of a prompt's candidate: its fixed question, before each change of weight."""

import asyncio
from datetime import UTC, datetime

from serving.http.llm.handler import find_fault
from serving.llm.prompts import LoadedPrompt
from serving.llm.providers import OpenedModels
from sluice.adapters.llm.metering import CallTerms
from sluice.config.llm.budgets import list_budgets
from sluice.errors import SluiceError
from sluice.guardrails.actions import GuardrailRules, is_blocking
from sluice.prompts.rendering import render_request

SMOKE_SECONDS = 30.0
"""Time limit of the answer; the candidate's own time limit is tested by its requests."""


async def smoke_prompt(prompt: LoadedPrompt, opened: OpenedModels) -> str:
    """Ask a version's model its fixed question; return what is wrong, empty if nothing.

    The answer has to come, to say something, and to be one that no guardrail blocks. It is not
    logged, belongs to no arm, and costs what it costs within the prompt's budgets.
    """
    if fault := find_fault(prompt, opened.models):
        return fault
    config, now = opened.config.of(prompt.prompt.name), datetime.now(UTC)
    budgets = list_budgets(config.budgets, prompt.prompt.name, b"", "", now)
    question = prompt.question
    try:
        request = render_request(prompt.prompt, question.input, question.context)
        async with asyncio.timeout(SMOKE_SECONDS):
            reply = await opened.metered.complete(request, CallTerms(budgets))
    except TimeoutError:
        return f"no answer within {SMOKE_SECONDS:g} s"
    except (SluiceError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if not reply.text.strip() and not reply.tool_calls:
        return "its answer to the fixed question is empty"
    hits = GuardrailRules(config.guardrails.output).judge(reply.text)
    if is_blocking(hits):
        rules = ", ".join(sorted({item.hit.rule for item in hits}))
        return f"a guardrail blocks its answer to the fixed question: {rules}"
    return ""
