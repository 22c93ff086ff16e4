"""The smoke test of a candidate: it answers its fixed records now as when it was judged."""

import asyncio

from serving.batching import Batcher
from serving.lineup import Seat
from serving.predictor import LoadedModel
from serving.reply import Reply, explain, render_json

SECONDS = 2.0
"""How long the records may take, in which a healthy model answers them many times."""


async def smoke_candidate(seat: Seat) -> Reply:
    """Ask the candidate that a service's route names its fixed records; 409 where none is here."""
    if seat.lane is None:
        return explain(409, f"{seat.service}: no candidate is here; {seat.missing}".rstrip("; "))
    model = seat.lane.predictor.model
    why = await _find_fault(model)
    told = {"version": model.version, "rows": model.proved, "passed": not why, "why": why}
    return render_json({"service": seat.service, **told})


async def _find_fault(model: LoadedModel) -> str:
    """Say what is wrong; in a thread of its own, since a model that hangs keeps it."""
    if model.proof is None:
        return "the registry has no records to prove it on"
    batcher: Batcher[LoadedModel, str] = Batcher(
        lambda models: [item.find_fault() for item in models], f"{model.service} smoke"
    )
    try:
        async with asyncio.timeout(SECONDS):
            (why,) = await batcher.ask([model])
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except Exception as error:  # a model's own bug is what the test is for
        return f"{type(error).__name__}: it failed"
    finally:
        batcher.close()
    return why
