"""A real Prometheus and its promtool: Debian's package, unpacked without root into a cache."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.servers.ports import find_free_port

SECONDS = 180.0
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice-tests"


@cache
def find_tools() -> Path:
    """Return the folder with `prometheus` and `promtool`; unpack them where they are missing.

    Without a way to get them the test is skipped, but never in CI.
    """
    for folder in (Path("/usr/bin"), CACHE / "prometheus" / "usr" / "bin"):
        if (folder / "promtool").is_file() and (folder / "prometheus").is_file():
            return folder
    try:
        return _unpack()
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Prometheus: {error}")


def _unpack() -> Path:
    """Download the package by lists of its own, since those of the machine may be absent or old."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        (Path(folder) / "state" / "lists" / "partial").mkdir(parents=True)
        places = {
            "Dir::State": f"{folder}/state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": f"{folder}/cache",
        }
        options = [word for key, value in places.items() for word in ("-o", f"{key}={value}")]
        _run(["apt-get", *options, "update"], folder)
        _run(["apt-get", *options, "download", "prometheus"], folder)
        (package,) = Path(folder).glob("prometheus_*.deb")
        _run(["dpkg-deb", "-x", str(package), "prometheus"], folder)
        final = CACHE / "prometheus"
        shutil.rmtree(final, ignore_errors=True)
        (Path(folder) / "prometheus").rename(final)
    return final / "usr" / "bin"


def _run(command: list[str], folder: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)


def run_promtool(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run promtool to its end."""
    command = [str(find_tools() / "promtool"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus on loopback."""

    port: int

    def ask(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}"
        try:
            with urllib.request.urlopen(url, timeout=20) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression; an error of the expression fails the test."""
        found = self.ask("query", query=expression)
        assert found["status"] == "success", (expression, found)
        result = found["data"]["result"]
        return list(result)


@contextmanager
def run_prometheus(folder: Path, rules: Path, *targets: str) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the targets each three seconds and evaluates the rules."""
    config = {
        # A scrape may take as long as its interval: a busy machine needs more than a second.
        "global": {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "3s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": "gateways", "static_configs": [{"targets": list(targets)}]}
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    found = Prometheus(find_free_port())
    command = [
        str(find_tools() / "prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{found.port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await_ready(found, process)
            yield found
        finally:
            process.terminate()
            process.wait(30)


def _await_ready(prometheus: Prometheus, process: "subprocess.Popen[bytes]") -> None:
    limit = time.monotonic() + SECONDS
    while True:
        assert process.poll() is None, "Prometheus ended"
        try:
            if prometheus.ask("targets")["data"]["activeTargets"]:
                return
        except (OSError, ValueError):  # it listens before it is ready, and says so in plain words
            pass
        assert time.monotonic() < limit
        time.sleep(0.2)
