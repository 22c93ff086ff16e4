"""A server whose users were all killed ends by itself, and no other one does."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from sluice.adapters.storage import try_lock

SERVER = """
import sys, time
from pathlib import Path
from sluice.adapters.server.unused import watch_users
from sluice.home import Home
watch_users(Home(Path(sys.argv[1])), grace=0.1, poll=0.02)
print("up", flush=True)
time.sleep(600)
"""


def test_a_server_ends_after_its_last_user_was_killed_and_not_before(tmp_path: Path) -> None:
    with (tmp_path / "server.users").open("a") as user:
        assert try_lock(user, shared=True)
        command = [sys.executable, "-c", SERVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == b"up\n"
                time.sleep(0.5)
                assert server.poll() is None
                user.close()
                assert server.wait(60) == -signal.SIGTERM
            finally:
                server.kill()
