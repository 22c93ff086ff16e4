"""Real parts for the tests: one orchestration server, one home and one registry a session."""

import atexit
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.servers.ports import find_free_port

# What is imported and collected stays: looking for garbage among it was a sixth of the time.
gc.set_threshold(1_000_000)
# A shell's background job ignores SIGINT, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Prefect and MLflow read their settings when they are imported, so the home comes first.
SESSION_HOME = Path(tempfile.mkdtemp(prefix="sluice-tests-"))
SERVER_PORT = find_free_port()
os.environ["SLUICE_HOME"] = str(SESSION_HOME)
# Processes that a test starts with code of its own find `support` as the test does.
TESTS = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (TESTS, os.environ.get("PYTHONPATH"))))
if "SLUICE_TEST_IMAGES" not in os.environ:  # one folder for all processes of the session
    IMAGES = tempfile.mkdtemp(prefix="sluice-images-")
    os.environ["SLUICE_TEST_IMAGES"] = IMAGES
    os.environ["SLUICE_TEST_SESSION"] = str(os.getpid())
    atexit.register(shutil.rmtree, IMAGES, ignore_errors=True)
for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "SLUICE_ENV", "SLUICE_CONTROL_URL"):
    os.environ.pop(name, None)

from sluice.adapters.server.home_server import server_environment  # noqa: E402
from sluice.adapters.server.login import make_login  # noqa: E402
from sluice.garbage import NEW_OBJECTS  # noqa: E402
from sluice.home import Home  # noqa: E402

SERVER_HOME = Home(SESSION_HOME)
os.environ.update(server_environment(SERVER_HOME))
os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{SERVER_PORT}/api"
os.environ["PREFECT_API_AUTH_STRING"] = make_login(SERVER_HOME)


@pytest.fixture(scope="session", autouse=True)
def _session_home() -> Iterator[None]:
    yield
    shutil.rmtree(SESSION_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    """A real Prefect server on loopback; give its API's address."""
    from sluice.adapters.server.home_server import run_server
    from support.servers.images import add_server_database

    add_server_database(SERVER_HOME)
    url = os.environ.pop("PREFECT_API_URL")
    with run_server(SERVER_HOME, port=SERVER_PORT, report=lambda _: None) as address:
        os.environ["PREFECT_API_URL"] = url
        assert address == url
        yield address
        flush_client()


@pytest.fixture(scope="module", autouse=True)
def _own_events(request: pytest.FixtureRequest) -> None:
    """Let a file see its own events: it shares the server with others of its process."""
    if request.node.get_closest_marker("slow"):
        from support.releases.sources import forget_events

        forget_events()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real servers first: the quick tests then fill up what is left of each process's time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Leave all that was imported and collected out of the garbage collections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collect what the tests left once; pytest would do so ten times, a second each."""
    gc.collect()
    gc.freeze()


def flush_client() -> None:
    """Send what is still on its way to the server, which is about to end."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Home:
    """A fresh state folder that flows and tasks use; with a migrated registry in slow tests."""
    from support.servers.images import add_registry_database

    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    fresh = Home(tmp_path / "home")
    return add_registry_database(fresh) if request.node.get_closest_marker("slow") else fresh
