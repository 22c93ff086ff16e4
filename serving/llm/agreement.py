"""Shadow mode of a prompt: does the candidate's answer agree with the one that the caller got?"""

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from serving.llm.calls import PromptCall

if TYPE_CHECKING:  # a gateway of models imports none of it
    from sluice.prompts.evaluation.agreement import LiveAnswer
    from sluice.prompts.version import PromptVersion

LOG = logging.getLogger("sluice.gateway")


class AskedInputs(msgspec.Struct):
    """What was asked, as it is logged."""

    variables: dict[str, str] | str = ""
    context: list[str] = []


async def differ(
    version: "PromptVersion", inputs: bytes, champion: PromptCall | None, candidate: PromptCall
) -> bool | None:
    """Whether the candidate's answer breaks a criterion that the champion's keeps.

    `inputs` is what was asked, as JSON. The answers are scored in a thread, after the caller has
    its answer. None: an arm has no answer, or no criterion of the version can compare two.
    """
    if champion is None or not (_has_answered(champion) and _has_answered(candidate)):
        return None
    answers = _read(champion), _read(candidate)
    return await asyncio.to_thread(_find, version, inputs, answers)


def _has_answered(call: PromptCall) -> bool:
    return call.reply is not None and not call.failed and not call.is_blocked


def _read(call: PromptCall) -> "LiveAnswer":
    from sluice.prompts.evaluation.agreement import LiveAnswer

    return LiveAnswer(call.text, call.tool_calls)


def _find(
    version: "PromptVersion", inputs: bytes, answers: "tuple[LiveAnswer, LiveAnswer]"
) -> bool | None:
    from sluice.prompts.evaluation.agreement import find_difference

    try:
        asked = msgspec.json.decode(inputs, type=AskedInputs)
        found = find_difference(version, asked.variables, asked.context, answers)
    except ValueError as error:  # variables of another version, which its call has said already
        LOG.warning("%s v%d: not compared: %s", version.name, version.version, error)
        return None
    return None if found is None else bool(found)
