import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice.adapters.storage import hold_lock, try_lock
from support.pace import slowed


def test_a_held_lock_keeps_others_out(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    late = pytest.raises(TimeoutError, match="locked by another")
    with hold_lock(path, 1.0), late, hold_lock(path, 0.2):
        pass


def test_a_lock_is_free_after_its_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with hold_lock(path, 0.2):
            pass


def test_the_time_waited_is_reported(tmp_path: Path) -> None:
    path, waited = tmp_path / "lock", list[float]()
    with hold_lock(path, 1.0), pytest.raises(TimeoutError), hold_lock(path, 0.3, waited.append):
        pass
    assert waited
    assert waited == sorted(waited)


def test_shared_locks_go_together_and_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("a") as one, path.open("a") as two, path.open("a") as three:
        assert try_lock(one, shared=True)
        assert try_lock(two, shared=True)
        assert not try_lock(three)


def test_a_killed_holder_frees_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, time; from pathlib import Path\n"
        "from sluice.adapters.storage import hold_lock\n"
        "with hold_lock(Path(sys.argv[1]), 1.0): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        holder.wait()
        began = time.monotonic()
        with hold_lock(path, 5.0):
            assert time.monotonic() - began < slowed(1.0)
