import importlib.metadata
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.machine import PINNED, examine
from sluice.adapters.server.ports import name_user
from sluice.adapters.server.process_tree import mark_part
from sluice.adapters.server.stack import StackOptions
from sluice.doctor import MachineFinding
from sluice.home import Home


def find(home: Home, name: str) -> MachineFinding:
    return next(finding for finding in examine(home) if finding.name == name)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "state")


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_pin_is_examined_against_the_projects_own_requirement(home: Home) -> None:
    findings = {finding.name: finding for finding in examine(home)}
    for name in PINNED:
        assert findings[name].found == importlib.metadata.version(name)
        assert re.search(r"[<=>]", findings[name].wanted)


def test_examining_creates_nothing(home: Home) -> None:
    examine(home)
    assert not home.root.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root may write")
def test_a_folder_that_cannot_be_written_is_found() -> None:
    assert not find(Home(Path("/proc/state")), "state folder").ok


def test_a_missing_folder_is_judged_by_the_folder_above(home: Home) -> None:
    assert find(home, "state folder").ok
    assert find(home, "free disk").found.endswith("GiB")


def test_git_reports_its_version(home: Home) -> None:
    assert re.match(r"\d+\.\d+", find(home, "git").found)


def test_without_git_it_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not find(home, "git").ok


def test_a_taken_port_names_its_user(
    home: Home, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.machine.PORTS", {listener: "a test"})
    found = find(home, f"port {listener}")
    assert found.ok
    assert found.found != "free"


def test_every_port_that_the_stack_tries_first_is_examined(home: Home) -> None:
    options = StackOptions()
    ports = (options.port, options.pages_port, options.gateway_port, options.rollouts_port)
    examined = [item.name for item in examine(home) if item.name.startswith("port ")]
    assert examined == [f"port {port}" for port in ports]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows it")
def test_part_of_the_state_folders_own_stack_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); "
    code += "print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, **mark_part(home, "gateway")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            monkeypatch.setattr("sluice.adapters.machine.PORTS", {port: "a test"})
            assert find(home, f"port {port}").found == "this state folder's own gateway"
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows it")
def test_the_process_behind_a_port_is_named(listener: int) -> None:
    assert f"(process {os.getpid()})" in name_user(listener)


def test_a_free_port_has_no_user() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert name_user(port) == ""


def test_examining_imports_nothing_heavy() -> None:
    script = (
        "import sys; from pathlib import Path; from sluice.home import Home;"
        "from sluice.adapters.machine import examine; examine(Home(Path('nowhere').resolve()));"
        "print([name for name in ('prefect', 'mlflow', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
