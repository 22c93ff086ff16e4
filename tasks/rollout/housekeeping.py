"""`watch`, `keeper` and `monitor` without a flow run where there is nothing to do.

On a schedule they are a thousand runs a day that found nothing: each starts a process, writes to
the server's database and hides the other runs. A local stack looks itself, and a run exists only
where something was found. What is to be ingested, announced or closed is done by a run of `watch`.
The keeper's repairs are done here, and then recorded as a run; a run of `keeper` fails visibly for
a service that could not be kept. Rules are judged here as well, and changes of alerts are recorded
as a run of `monitor`.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.logging import disable_run_logger
from prefect.states import Completed

from sluice.config.loading import load_service
from sluice.errors import SluiceError
from sluice.home import environment_name
from tasks.data.ingestion import find_announcement
from tasks.data.watching import choose_services, find_new_deliveries
from tasks.drift.concept import judge_live
from tasks.monitoring.monitor import Monitor
from tasks.prompts.live.monitoring import monitor_prompts
from tasks.prompts.watching import choose_prompts, find_prompt_work
from tasks.release.approval import has_late
from tasks.retraining.decisions import find_change
from tasks.retraining.gain import find_gain
from tasks.rollout.keeper import Keeper, publish_overview
from tasks.run.forms import ALL

AGAIN_SECONDS = 3600.0
"""Time after which a problem that lasts is shown by another run."""


class Housekeeper:
    """Looks at what `watch`, `keeper` and `monitor` look at; `log` gets what a run would log."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._looks: dict[str, Callable[[DeploymentResponse, str], None]] = {
            "watch": self._watch,
            "keeper": self._keep,
            "monitor": self._monitor,
        }
        self._started: dict[UUID, UUID] = {}
        self._shown: dict[UUID, dict[str, float]] = {}
        self._pages: dict[UUID, str] = {}

    def look(self, deployment: str, service: str = "") -> None:
        """Look once for a deployment of one of them, `flow/name`, at one service or all.

        Nothing happens while the deployment is missing or paused. An error of ours is shown by a
        run; any other error, such as a server that is away, is logged.
        """
        try:
            found, service = _find_deployment(deployment), service or ALL
            if found is not None and not found.paused:
                self._look(self._looks[deployment.partition("/")[0]], found, service)
        except Exception as error:  # the next look is minutes away, and sees the same
            self._log.warning("%s: %s: %s", deployment, type(error).__name__, error)

    def _look(
        self,
        look: Callable[[DeploymentResponse, str], None],
        deployment: DeploymentResponse,
        service: str,
    ) -> None:
        try:
            with disable_run_logger():
                look(deployment, service)
        except SluiceError as error:
            self._show(deployment, service, [f"{service}: {type(error).__name__}: {error}"])

    def _watch(self, deployment: DeploymentResponse, service: str) -> None:
        """Start a run of `watch` if it has something to do, or to say."""
        work, problems = list[str](), list[str]()
        looks: list[tuple[str, Callable[[str], str]]]
        looks = [(name, find_work) for name in choose_services(service)]
        if service == ALL:
            try:
                looks += [(name, find_prompt_work) for name in choose_prompts()]
            except SluiceError as error:
                problems.append(f"prompts: {type(error).__name__}: {error}")
        for name, look in looks:
            try:
                if reason := look(name):
                    work.append(f"{name}: {reason}")
            except SluiceError as error:
                problems.append(f"{name}: {type(error).__name__}: {error}")
        if work:
            self._start(deployment, service, work)
        else:
            self._show(deployment, service, problems)

    def _keep(self, deployment: DeploymentResponse, service: str) -> None:
        """Keep the services, and record a run of `keeper` if something was done."""
        kept = Keeper()
        kept.keep_all(service)
        if kept.page != self._pages.get(deployment.id):
            publish_overview(kept.page)
            self._pages[deployment.id] = kept.page
        if kept.done:
            self._log.info("a run of %s is recorded: %s", deployment.name, "; ".join(kept.done))
            _record(deployment, service, "; ".join(kept.done))
        self._show(deployment, service, kept.problems)

    def _monitor(self, deployment: DeploymentResponse, service: str) -> None:
        """Judge performance and the rules, and record a run of `monitor` if an alert changed."""
        run = Monitor()
        for name in choose_services(service):
            with run.collect_errors(f"{name}: performance"):
                judge_live.fn(load_service(name, environment_name()))
            with run.collect_errors(name):
                run.watch(name)
        if service == ALL:
            monitor_prompts(run)
        if run.changes:
            words = run.describe()
            self._log.info("a run of %s is recorded: %s", deployment.name, words)
            _record(deployment, service, words)
        self._show(deployment, service, run.problems)

    def _show(self, deployment: DeploymentResponse, service: str, problems: list[str]) -> None:
        """Start a run that fails on the problems, unless one has shown them within the hour."""
        now, before = time.monotonic(), self._shown.get(deployment.id, {})
        kinds = {": ".join(problem.split(": ")[:2]) for problem in problems}
        shown = {kind: at for kind, at in before.items() if kind in kinds}
        self._shown[deployment.id] = shown
        if any(now - shown.get(kind, -AGAIN_SECONDS) >= AGAIN_SECONDS for kind in kinds):
            self._start(deployment, service, problems)
            shown.update(dict.fromkeys(kinds, now))

    def _start(self, deployment: DeploymentResponse, service: str, reasons: list[str]) -> None:
        """Start a run of the deployment, unless the last one that was started goes on."""
        if _goes_on(self._started.get(deployment.id)):
            return
        self._log.info("a run of %s is started: %s", deployment.name, "; ".join(reasons))
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(
                deployment.id, parameters={"service": service}
            )
        self._started[deployment.id] = run.id


def find_work(service: str) -> str:
    """Return what `watch` has to do for a service; empty if there is nothing.

    Raises:
        Refused: the configuration is invalid, or the source's URL or query is wrong.
        Fault: the source, the table or the control store cannot be reached.
    """
    config = load_service(service, environment_name())
    if find_new_deliveries(config):
        return "new data in its source"
    announcement = find_announcement(config)
    if announcement is not None and announcement.is_due:
        return f"data version {announcement.version} has no release"
    if has_late(service):
        return "an approval that is too late"
    return find_change(config) or find_gain(config)


def _find_deployment(name: str) -> DeploymentResponse | None:
    with suppress(ObjectNotFound), get_client(sync_client=True) as client:
        return client.read_deployment_by_name(name)
    return None


def _goes_on(run: UUID | None) -> bool:
    if run is None:
        return False
    with suppress(ObjectNotFound), get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
        return state is None or not state.is_final()
    return False


def _record(deployment: DeploymentResponse, service: str, message: str) -> None:
    """Record a run that has ended, since its work is done."""
    with get_client(sync_client=True) as client:
        client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"service": service},
            state=Completed(message=message),
            name=service,
            tags=[f"service:{service}", f"environment:{environment_name()}"],
        )
