"""A worker's name says where it runs."""

import os
import socket

from sluice.adapters.server.worker import is_gone


def test_a_worker_of_this_machine_whose_process_ended_is_gone() -> None:
    assert is_gone(f"{socket.gethostname()}-{2**22 + 1}")


def test_a_worker_whose_process_runs_is_not_gone() -> None:
    assert not is_gone(f"{socket.gethostname()}-{os.getpid()}")


def test_workers_of_other_machines_are_never_called_gone() -> None:
    for name in ("elsewhere-1", "one", "", f"{socket.gethostname()}-x"):
        assert not is_gone(name)
