"""A spare worker: a process that has imported everything and waits to be a worker.

A new process needs one to two seconds before it answers, most of them for imports. The spare needs
a fraction of a second, so that callers hardly wait when workers die one after the other.
"""

import ctypes
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from sluice.adapters.heartbeat import BEAT_SECONDS, READY
from sluice.documents import parse_json

SPARE = "--spare"
"""The first argument of a worker that waits for the others."""
PR_SET_NAME = 15


def await_orders(words: Sequence[str]) -> list[str]:
    """Wait for the arguments of the worker that died, and return them; end with the supervisor.

    `words` are the spare's own arguments: `--spare --heartbeat FD`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides; with it, this one ends
    _import_all()
    channel = socket.socket(fileno=int(words[-1]))
    channel.settimeout(BEAT_SECONDS)
    order = b""
    name_process("spare")
    while not order.endswith(b"\n"):
        try:
            channel.send(READY, socket.MSG_DONTWAIT)
            part = channel.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            continue
        except OSError:
            part = b""
        if not part:
            sys.exit(0)
        order += part
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments: list[str] = parse_json(order)
    channel.setblocking(True)
    channel.detach()  # the worker's heartbeats go the same way
    return [*arguments[2:], *words[1:]]


def _import_all() -> None:
    """Import what a worker imports when it needs it for the first time."""
    import onnxruntime
    import sqlalchemy.dialects.sqlite

    _ = onnxruntime, sqlalchemy


def name_process(name: str) -> None:
    """Set the name that `ps` and `top` show, such as `sluice-w0`; only Linux has one."""
    if sys.platform == "linux":
        with suppress(OSError):
            ctypes.CDLL(None).prctl(PR_SET_NAME, f"sluice-{name}".encode()[:15], 0, 0, 0)
