"""The flow runs of the pool, as the server has them: which are at work, cancelling, closing."""

from dataclasses import dataclass
from typing import Any

from sluice.adapters.server.api import ask_server

POOL = "sluice"
BEGUN = ("PENDING", "RUNNING", "CANCELLING")
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@dataclass(frozen=True)
class FlowRun:
    """One flow run: its name, the type of its state, such as RUNNING, and its worker's name."""

    id: str
    name: str
    state: str
    worker: str

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL


def find_begun(api: str) -> list[FlowRun]:
    """Find the pool's runs that began and have not ended; none where the server is away."""
    filters = {
        "flow_runs": {"state": {"type": {"any_": list(BEGUN)}}},
        "work_pools": {"name": {"any_": [POOL]}},
    }
    _, found = ask_server(f"{api}/flow_runs/filter", filters)
    return [_read(item) for item in found or []]


def read_run(api: str, run: str) -> FlowRun | None:
    """Give a flow run as it stands; None where the server does not tell."""
    status, found = ask_server(f"{api}/flow_runs/{run}")
    return _read(found) if status == 200 and found else None


def ask_cancelling(api: str, run: FlowRun, why: str) -> None:
    """Ask for a run to be cancelled; the worker that has it at work does so."""
    _set_state(api, run, "CANCELLING", "Cancelling", why, force=False)


def close_crashed(api: str, run: FlowRun, why: str) -> None:
    """Say of a run whose process is gone that it crashed, so that it does not run for ever."""
    _set_state(api, run, "CRASHED", "Crashed", why, force=True)


def _set_state(api: str, run: FlowRun, kind: str, name: str, why: str, *, force: bool) -> None:
    state = {"type": kind, "name": name, "message": why}
    ask_server(f"{api}/flow_runs/{run.id}/set_state", {"state": state, "force": force})


def _read(found: dict[str, Any]) -> FlowRun:
    worker = (found.get("labels") or {}).get("prefect.worker.name", "")
    return FlowRun(found["id"], found["name"], found.get("state_type") or "", worker)
