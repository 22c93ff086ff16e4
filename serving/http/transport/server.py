"""The HTTP server that gateway workers and the status page run on."""

from functools import partial
from typing import Any

import uvicorn

from serving.http.transport.connections import Connections
from serving.http.transport.protocol import LimitedProtocol
from sluice.config.serving import LimitsConfig


def configure_server(
    app: Any, limits: LimitsConfig, grace: int, places: Connections | None = None, **more: Any
) -> uvicorn.Config:
    """Return the server's settings.

    `grace` is how long requests in flight may take at the end; `places` are the connections that
    there may be, by default those of the limits.
    """
    places = Connections(limits) if places is None else places
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=partial(LimitedProtocol, places),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace,
        **more,
    )
