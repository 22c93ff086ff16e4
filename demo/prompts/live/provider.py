"""`python -m demo.prompts.live.provider PORT`: a simulated provider of language models, by HTTP.

It answers tickets of a support desk by fixed rules, as a real model would by chance: so the same
demonstration shows the same on every machine. What goes wrong shows on live inputs only, because
the cases of the evaluation set have neither a manager nor a quoted history.
"""

import argparse
import asyncio
import re
import signal
from contextlib import suppress
from typing import Any

from aiohttp import web

from demo.prompts.live.tickets import NAMES_PEOPLE, QUOTES_HISTORY, REVISION, TEAMS, find_team

CHANGED = "I am sorry, I cannot help with this."
"""What the model says once its provider has changed it."""
LETTERS_OF_A_TOKEN = 4


class SimulatedModel:
    """One model; `is_changed` once its provider has silently put another one in its place."""

    def __init__(self) -> None:
        self.is_changed = False

    def answer(self, instructions: str, ticket: str) -> str:
        """Return the answer to a ticket."""
        if self.is_changed and len(ticket) % 2:
            return CHANGED
        team = find_team(ticket) or TEAMS[-1]
        text = f"Thank you, our {team} team looks at it today."
        if NAMES_PEOPLE in instructions and "manager" in ticket:
            text += " Please write to dana.cole@example.com."
        if QUOTES_HISTORY in instructions and (said := re.findall(r"> (.*)", ticket)):
            text += f" You told us before: {' '.join(said * 2)}"
        return text

    async def complete(self, request: web.Request) -> web.Response:
        """Answer a request of the dialect of OpenAI."""
        body: dict[str, Any] = await request.json()
        turns = [str(turn["content"]) for turn in body["messages"]]
        text = self.answer(turns[0], turns[-1])
        sent, said = (sum(map(len, part)) // LETTERS_OF_A_TOKEN for part in (turns, [text]))
        usage = {"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": REVISION}
        return web.json_response({**answer, "choices": [choice], "usage": usage})

    async def change(self, _: web.Request) -> web.Response:
        """Change the model and tell nobody: its name and its revision stay the same."""
        self.is_changed = True
        return web.json_response({})


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    model, app, ended = SimulatedModel(), web.Application(), asyncio.Event()
    app.router.add_post("/v1/chat/completions", model.complete)
    app.router.add_post("/change", model.change)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="demo.prompts.live.provider")
    parser.add_argument("port", type=int)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().port))
