"""Asking the champion: inline where it can, with a time limit where it cannot."""

from collections.abc import Sequence

from serving.lane import Call, explain_failure
from serving.live_timeout import LiveTimeout
from serving.predictor import ModelPredictor
from serving.signature import Record


async def ask_champion(champion: ModelPredictor, records: Sequence[Record], seconds: float) -> Call:
    """Ask the version that answers for all; what goes wrong comes back as a failed call."""
    try:
        if champion.is_inline(len(records)):
            predictions, took = await champion.predict_timed(records)
        else:
            async with LiveTimeout(seconds):
                predictions, took = await champion.predict_timed(records)
    except Exception as error:  # whatever a model raises, the caller gets an honest answer
        return explain_failure(error)
    return Call(predictions, 1000 * took)
