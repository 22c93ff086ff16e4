"""The HTTP server that gateway workers and the rollout page run on."""

from typing import Any

import uvicorn


def configure_server(app: Any, keep_alive: int, grace: int, **more: Any) -> uvicorn.Config:
    """Return the server's settings; `keep_alive` of idle connections and `grace` in seconds."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=grace,
        **more,
    )
