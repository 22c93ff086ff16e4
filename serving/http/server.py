"""How every process of ours that answers over HTTP is served."""

from typing import Any

import uvicorn


def configure_server(app: Any, keep_alive: int, grace: int, **more: Any) -> uvicorn.Config:
    """Give the HTTP server's settings: an idle connection's seconds, those of an end, and more."""
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
