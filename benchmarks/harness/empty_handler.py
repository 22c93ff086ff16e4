"""The minimal server of a gateway: a raw ASGI handler that reads a request and answers it."""

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = (
    b'{"prediction":1,"probabilities":{"0":0.2503411,"1":0.7496589},"version":1,'
    b'"arm":"champion","request_id":"000000000000","backend":"onnx"}'
)
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(ANSWER)).encode()),
]


async def app(
    scope: Any,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
