"""Calls to a prompt's candidate, within its slots and its time limit."""

from serving.llm.calls import PromptCall
from serving.llm.prompts import LoadedPrompt
from serving.routing.calls import Bulkhead, LiveTimeout


class PromptPool(Bulkhead):
    """The bulkhead around a prompt's candidate.

    The time limit is that of the first piece which may leave: until then the champion can answer
    in the candidate's place. A call keeps its slot to its end.
    """

    def __init__(self, prompt: LoadedPrompt, size: int, timeout_ms: float) -> None:
        super().__init__(size, timeout_ms)
        self.prompt = prompt

    async def begin(self, call: PromptCall) -> None:
        """Wait for the candidate's first piece; every error is noted as a failed call."""
        try:
            async with LiveTimeout(self._seconds):
                await self._enter()
                call.follow(self._slots.release)
                await call.begin()
        except Exception as error:  # a bug of the candidate is its failure, too
            call.fail(error)
            await call.close()
