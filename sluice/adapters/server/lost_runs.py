"""Flow runs that nobody is at work on any more, and that would stand as running for ever."""

from sluice.adapters.server.flow_runs import FlowRun, close_crashed, find_begun
from sluice.adapters.server.kin import can_find, find_flow_runs
from sluice.adapters.server.worker import is_gone


def close_lost(api: str, why: str) -> list[FlowRun]:
    """Close the pool's runs whose worker was on this machine and is gone, and their process too.

    Runs of other machines' workers are left alone, and all where the system shows no processes.
    """
    if not can_find():
        return []
    begun = [run for run in find_begun(api) if is_gone(run.worker)]
    at_work = find_flow_runs() if begun else set[str]()
    lost = [run for run in begun if run.id not in at_work]
    for run in lost:
        close_crashed(api, run, why)
    return lost
