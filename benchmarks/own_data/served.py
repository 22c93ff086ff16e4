"""The champion behind a gateway on loopback: held-out rows sent by HTTP, and what it answers.

`python -m benchmarks.own_data.served NAME`, with the folders of the data set in the environment.
It prints JSON.
"""

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from sluice.config.service import ServiceConfig
from sluice.home import environment_name, find_home

SENT = 50
"""Rows that are sent, one in each request."""
TOLERANCE = 1e-5
"""Allowed difference of a number: as much, and as much times the number."""


def main() -> None:
    print(json.dumps(serve(sys.argv[1])))


def serve(service: str) -> dict[str, Any]:
    """Send held-out rows to a gateway; return how many answers differ from the registered model.

    The facts are empty where the service has no champion.
    """
    from benchmarks.serving import run_gateway
    from demo.held_out import build_records, read_frame
    from sluice.adapters.registry.client import open_registry
    from sluice.config.loading import load_service
    from sluice.models.prediction import predict

    config, registry = load_service(service, environment_name()), open_registry(find_home())
    version = registry.find_alias(service, "champion")
    if version is None:
        return {}
    rows = read_frame(find_home(), config).head(SENT)
    expected = predict(registry.load_model(version), rows, config.data, config.problem)
    path = f"/v1/models/{service}:predict"
    bodies = [
        f'{{"inputs":{record},"request_id":"r{place}"}}'
        for place, record in enumerate(build_records(rows, config).records)
    ]
    with tempfile.TemporaryDirectory() as folder, run_gateway(Path(folder), workers=1) as server:
        server.await_page(path, bodies[0])
        answers = [server.ask(path, body) for body in bodies]
        cpu, memory = server.cpu_seconds(), server.count_memory() / 1e3
    wrong = [content.decode()[:300] for status, content in answers if status != 200]
    differing = sum(
        not _is_same(config, json.loads(content), expected, place)
        for place, (status, content) in enumerate(answers)
        if status == 200
    )
    form = json.loads(answers[0][1]).get("backend", "")
    return {
        "sent": len(bodies),
        "differing": differing + len(wrong),
        "refused": wrong[:1],
        "backend": form,
        "cpu": cpu,
        "memory": memory,
    }


def _is_same(config: ServiceConfig, answer: dict[str, Any], expected: Any, place: int) -> bool:
    """Return whether an answer is the registered model's prediction of the row."""
    found, label = answer["outputs"]["prediction"], expected.labels[place]
    if config.problem == "regression":
        return math.isclose(found, label, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    known = label.item() if hasattr(label, "item") else label
    scores = [expected.scores[place]] if config.problem == "binary" else expected.scores[place]
    given = answer["outputs"]["probabilities"].values()
    near = all(
        any(math.isclose(score, one, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for one in given)
        for score in scores
    )
    return bool(found == known) and near


if __name__ == "__main__":
    main()
