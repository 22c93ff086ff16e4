"""One worker: a process that answers on a socket that its supervisor opened.

    python -m serving.process.worker --socket FD --replica FOLDER --name w0 --started STAMP
                                     --address HOST:PORT --parent PID --heartbeat FD

It shares only files with the other workers. On SIGTERM it reports that it is not ready, serves for
`notice_seconds` more, accepts no new request, finishes those in flight, and ends. When its
supervisor dies, it goes on: the next one adopts it. With `--spare --heartbeat FD` it waits for the
other arguments, to take the place of a worker that died.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from serving.http.access_log import open_access_log
from serving.http.app import Gateway
from serving.http.feedback import ANSWERS_FILE, FeedbackLog, RecentAnswers
from serving.http.handler import RequestHandler
from serving.http.keys import load_keys
from serving.http.language import LateEndpoints
from serving.http.pages import StatusPages
from serving.http.transport.server import configure_server
from serving.llm.prompts import LoadedPrompts
from serving.llm.providers import ModelProviders
from serving.log.request_log import RequestLog
from serving.models.cache import ModelCache
from serving.models.loading import LoadedModels
from serving.process.adoption import AdoptionPoint, WorkerFacts, digest_settings
from serving.process.spare import SPARE, await_orders, name_process
from serving.routing.breaker import WorkerBreakers
from serving.routing.shadow import ShadowCalls
from serving.routing.watcher import RouteWatcher
from sluice.adapters.control.store import open_control
from sluice.adapters.heartbeat import BEAT_SECONDS, ProcessHeartbeat
from sluice.adapters.security.signatures import open_signatures
from sluice.adapters.telemetry.log_output import start_log
from sluice.config.loading import load_gateway
from sluice.config.serving import GatewayConfig
from sluice.control.route import Route
from sluice.errors import Refused, SluiceError
from sluice.home import environment_name, find_home

BREAKERS_FILE = "breakers"
BACKLOG = 1024
SWITCH_SECONDS = 0.0002
"""How long a thread may keep the others from running. A request has several turns on the event
loop: while a large body is decoded, each of them waits so long."""
CHECK_SECONDS, STEP_SECONDS = 0.25, 0.05
LOG = logging.getLogger("sluice.gateway")


class WorkerServer(uvicorn.Server):
    """The HTTP server; the worker handles signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


class Worker:
    """All parts of one worker run."""

    def __init__(
        self,
        replica: Path,
        name: str,
        started: str,
        config: GatewayConfig,
        heartbeat: ProcessHeartbeat,
    ) -> None:
        """Begin the run: with log, breakers and counters, without models.

        Raises:
            SpoolFull: there is no room for the log.
            ConfigInvalid: the keys cannot be read, or the rule for signatures is wrong.
            ControlUnusable: the control store's address is wrong.
        """
        home = find_home()
        keyring = load_keys(config.keys_file)
        control = open_control(home)

        def list_routes() -> list[Route]:
            self._pages.identity = self._pages.identity or control.find_identity()
            return control.routes.list_routes(None)

        self._config, self._heartbeat = config, heartbeat
        self._access = open_access_log(config.access_log, f"worker {name}")
        self._answers = RecentAnswers(replica / ANSWERS_FILE, config.traffic_log.remembered_answers)
        listeners = [self._answers.remember, *([self._access.write] if self._access else [])]
        self._log = RequestLog(replica, name, started, config.traffic_log, listeners)
        self._breakers = WorkerBreakers(replica / BREAKERS_FILE)
        self._shadow_calls = ShadowCalls(self._log, self._breakers)
        providers = ModelProviders(home, environment_name(), control.spending)
        parts = (self._log, self._breakers, self._shadow_calls)
        self._language = LateEndpoints(parts, providers, config.limits, lambda: watcher.table)
        models = LoadedModels(ModelCache(home.models, open_signatures(home)))
        prompts = LoadedPrompts(home.published_prompts, self._language.prepare)
        watcher = RouteWatcher(list_routes, models, replica, prompts)
        handler = RequestHandler(self._log, self._breakers, config.limits)
        self._pages = StatusPages(replica, config, keyring, parts, lambda: watcher.table)
        self._pages.list_signals = control.signals.list_newest
        self._pages.find_prompt_fault = self._language.find_fault
        feedback = FeedbackLog(self._log, self._answers)
        read_table, language = lambda: watcher.table, self._language
        app = Gateway(handler, self._shadow_calls, feedback, self._pages, read_table, language)
        self._watcher = watcher
        self._server = WorkerServer(make_server_config(app, config))

    async def serve(self, listener: socket.socket, adoption: AdoptionPoint) -> int:
        """Serve until a signal, or until nothing can be logged any more; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain)
        self._adoption = adoption
        adoption.open(self._heartbeat)
        tasks = [loop.create_task(self._beat())]
        await self._watcher.start()
        tasks += [loop.create_task(self._watcher.run()), loop.create_task(self._check())]
        try:
            if not self._pages.is_draining:
                await self._server.serve([listener])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            adoption.close()
            await self._shadow_calls.close()
            self._watcher.close()
            await self._language.close()
            broken = self._log.is_broken
            self._breakers.close()
            self._log.close()
            self._answers.close()
            if self._access:
                self._access.close()
        return 1 if broken else 0

    def _drain(self) -> None:
        """Report not ready from now on, and stop after `notice_seconds`."""
        if self._pages.is_draining:
            return
        self._pages.is_draining = self._watcher.is_stopping = True
        self._adoption.is_draining = True
        asyncio.get_running_loop().call_later(self._config.limits.notice_seconds, self._stop)

    def _stop(self) -> None:
        self._server.should_exit = True

    async def _beat(self) -> None:
        """Tell the supervisor that the event loop moves, and since when it accepts requests."""
        while True:
            works = bool(self._server.started)
            self._heartbeat.beat(works)
            await asyncio.sleep(BEAT_SECONDS if works else STEP_SECONDS)

    async def _check(self) -> None:
        """Stop the worker when nothing can be logged any more: the next run may be able to."""
        while not self._log.is_broken:
            await asyncio.sleep(CHECK_SECONDS)
        LOG.error("the log cannot be written any more; this worker stops")
        self._pages.is_draining = True
        self._stop()


def make_server_config(app: Gateway, config: GatewayConfig) -> uvicorn.Config:
    """Return the HTTP server's settings."""
    grace = round(config.limits.drain_seconds) or 1
    return configure_server(app, config.limits, grace, backlog=BACKLOG)


async def run_worker(arguments: argparse.Namespace) -> int:
    """Run one worker; return the exit code.

    Raises:
        SpoolFull: there is no room for the log.
        ConfigInvalid: the settings or keys are wrong.
        ControlUnusable: the control store's address is wrong.
    """
    config, replica = load_gateway(environment_name()), arguments.replica
    heartbeat = ProcessHeartbeat(arguments.heartbeat)
    listener = socket.socket(fileno=arguments.socket)
    settings = digest_settings(config)
    facts = WorkerFacts(arguments.name, os.getpid(), arguments.address, settings)
    adoption = AdoptionPoint(replica, facts, listener)
    if os.getppid() != arguments.parent:
        LOG.warning("%s: its supervisor died before it began; it ends", arguments.name)
        return 1
    worker = Worker(replica, arguments.name, arguments.started, config, heartbeat)
    return await worker.serve(listener, adoption)


def main() -> int:
    """Run one worker; exit code 2: bad input, 3: infrastructure error."""
    parser = argparse.ArgumentParser(prog="serving.process.worker")
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--replica", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--started", required=True)
    parser.add_argument("--address", required=True, help="host and port of the socket")
    parser.add_argument("--parent", type=int, required=True, help="process of the supervisor")
    parser.add_argument("--heartbeat", type=int, help="descriptor of the supervisor's socket")
    words = sys.argv[1:]
    arguments = parser.parse_args(await_orders(words) if words[:1] == [SPARE] else words)
    name_process(arguments.name)
    sys.setswitchinterval(SWITCH_SECONDS)
    faulthandler.enable()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor decides what a hang-up means
    factory = uvicorn.Config("none", loop="uvloop").get_loop_factory()
    try:
        start_log(f"worker {arguments.name}")
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(run_worker(arguments))
    except (SluiceError, OSError) as error:
        LOG.error("%s: %s", type(error).__name__, error)
        return 2 if isinstance(error, Refused) else 3


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # all is written; a thread may still hang in a model or a store
