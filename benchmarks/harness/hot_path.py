"""One checkout's gateway with a candidate at several weights, for `benchmarks.hot_paths`.

`python FILE FOLDER` with this file's path, in the checkout to measure and by its own interpreter:
an older checkout does not have this file, so it uses only what older ones have too. It prints a
line of JSON when the gateway answers, and ends with its standard input.
"""

import json
import os
import sys
from contextlib import ExitStack
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

WEIGHTS = {"none": 0.0, "split": 0.05, "half": 0.5}
BODIES = 2000
"""Different requests; the candidate's exact share of them is counted."""


def load_part(name: str) -> Any:
    """Return a module of the checkout's benchmarks, which had no folder `harness` at first."""
    try:
        return import_module(f"benchmarks.harness.{name}")
    except ModuleNotFoundError:
        return import_module(f"benchmarks.{name}")


def count_share(port: int, path: str, bodies: list[str]) -> float:
    """Return the share of requests that the candidate answers; fails where not all are 200."""
    connection, found = HTTPConnection("127.0.0.1", port, timeout=30), 0
    for body in bodies:
        connection.request("POST", path, body, {"content-type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {text!r}")
        found += b'"arm":"candidate"' in text
    connection.close()
    return found / len(bodies)


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(Path.cwd()))
    os.environ["SLUICE_HOME"] = str(folder / "home")
    served_part, load, serving = load_part("served"), load_part("load"), load_part("serving")
    served = served_part.prepare_home(import_module("sluice.home").find_home())
    bodies = serving.build_bodies(served)[:BODIES]
    with ExitStack() as stack:
        for service, weight in WEIGHTS.items():
            for _ in ("champion", "candidate"):
                served.register(folder, service, "onnx")
            facts = {"candidate": 2, "mode": "canary", "weight": weight, "arm_timeout_ms": 5000.0}
            stack.enter_context(served.renew(served.set_route(service, 1, **facts)))
        gateway = stack.enter_context(serving.run_gateway(folder, workers=1))
        services = {}
        for service, weight in WEIGHTS.items():
            path, file = f"/v1/models/{service}:predict", folder / f"{service}.txt"
            load.write_requests(file, path, bodies)
            arm = b'"arm":"candidate"' if weight else b""
            gateway.await_page(path, bodies[0])
            share = 0.0
            while arm and not share:
                share = count_share(gateway.port, path, bodies)
            services[service] = {"file": str(file), "share": share}
        facts = {"port": gateway.port, "pid": gateway.process.pid, "services": services}
        print(json.dumps(facts), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
