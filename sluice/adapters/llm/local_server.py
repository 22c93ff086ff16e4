"""The local model's own process: OpenAI's and Anthropic's endpoints on loopback, with a key.

It reads its orders, one line of JSON, from its input, writes its address to its output, and ends
when its input ends: with the process that started it, however that ended.
"""

import os
import sys
from typing import Any

from sluice.documents import parse_json

THREADS = 1
"""A second thread makes it slower on a machine with two busy cores."""


def main() -> None:
    """Serve until the input ends."""
    told = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the engine writes what it likes there
    line = sys.stdin.readline()
    if not line:
        return
    server = start_server(parse_json(line))
    with os.fdopen(told, "w") as output:
        output.write(f"{server.listening_address}\n")
    sys.stdin.read()
    os._exit(0)  # the engine's threads may be in the middle of an answer that nobody reads


def start_server(orders: dict[str, Any]) -> Any:
    """Load the weights and return the server, which listens on a free port of loopback."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = orders["weights"]
    params.model_alias = {orders["name"]}
    params.n_ctx = orders["context"]
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [orders["key"]]
    params.ui = params.endpoint_slots = False
    params.verbosity = 0
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
