"""The stack in one command: server, worker and pages up, deployed to, until Ctrl-C."""

from contextlib import suppress
from pathlib import Path

from flows.terminal import say
from sluice.adapters.server.ending import EndSignals
from sluice.adapters.server.stack_record import StackRecord, claim_stack
from sluice.home import PROJECT, find_home

FILE = PROJECT / "deployments.yaml"


def keep_stack(wishes: tuple[int, int, int, int, int]) -> int:
    """Keep the home's stack up until a signal ends it; give the exit code.

    `wishes` are the ports of Prefect and MLflow, how many flow runs at once, the ports of gateway
    and rollout page. Where it is up already, its addresses are printed and nothing else happens.

    Raises:
        ServerUnavailable: a part does not come up, or ends again and again.
        Fault: the registry cannot be made ready, or the deployments are not taken.
    """
    home = find_home()
    with EndSignals() as signals:
        try:
            with claim_stack(home, _tell) as other:
                if other:
                    _tell(f"the stack of this home is up already (process {other.pid})")
                    _tell_addresses(other)
                    return 0
                _bring_up(wishes, signals)
        except KeyboardInterrupt:
            _tell("ended")
    return signals.exit_code


def _bring_up(wishes: tuple[int, int, int, int, int], signals: EndSignals) -> None:
    from sluice.adapters.server.stack import StackWishes, run_stack

    with run_stack(find_home(), StackWishes(*wishes), signals, _tell) as stack:
        _tell_addresses(stack.start(_deploy))
        _tell("Ctrl-C ends all of it")
        stack.keep()


def _deploy() -> None:
    from tasks.deployment import deploy_file

    deploy_file(FILE, _tell)


def _tell_addresses(record: StackRecord) -> None:
    _tell(f"Prefect  {record.prefect}")
    _tell(f"MLflow   {record.mlflow}")
    _tell(f"gateway  {record.gateway}, log {Path(record.log).with_name('gateway.log')}")
    _tell(f"rollouts {record.rollouts}")
    _tell(f"worker   {record.worker}, at most {record.limit} flow runs at once, log {record.log}")


def _tell(line: str) -> None:
    """Print a line; a terminal that was closed is no reason to leave processes behind."""
    with suppress(OSError):
        say(line)
