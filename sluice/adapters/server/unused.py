"""A server that nobody uses any more ends by itself: all its users were killed.

A user that ends in order ends the server if it is the last one. One that is killed cannot.
"""

import os
import signal
import threading
import time
from contextlib import suppress

from sluice.adapters.server.process_tree import find_related
from sluice.adapters.storage import try_lock
from sluice.home import Home

GRACE_SECONDS, POLL_SECONDS = 300.0, 15.0


def watch_users(
    home: Home, grace: float = GRACE_SECONDS, poll: float = POLL_SECONDS
) -> threading.Thread:
    """Watch in a thread whether anybody uses this process; end it by SIGTERM where nobody does.

    Nobody: for `grace` seconds no process held the lock of the users, and none of the state
    folder's flow runs was in progress. It looks each `poll` seconds.
    """
    thread = threading.Thread(target=_watch, args=(home, grace, poll), name="users", daemon=True)
    thread.start()
    return thread


def _watch(home: Home, grace: float, poll: float) -> None:
    used = time.monotonic()
    while True:
        time.sleep(poll)
        lock = home.root / "server.lock"
        # A user joins under this lock: while this process has it, nobody can. Where the state
        # folder was removed, nobody uses it.
        with suppress(FileNotFoundError), lock.open("a") as joining:
            if not try_lock(joining) or _is_used(home):
                used = time.monotonic()
            if time.monotonic() - used < grace:
                continue
            os.dup(joining.fileno())  # kept to the end: the next user starts another server
        if time.monotonic() - used >= grace:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _is_used(home: Home) -> bool:
    with (home.root / "server.users").open("a") as users:
        if not try_lock(users):
            return True
    return any(item.flow_run for item in find_related(home))
