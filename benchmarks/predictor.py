"""One row through the served form beside the same row through the trained pipeline.

`python -m benchmarks.predictor [--rows 300]`; the default service's model of each kind, one thread.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from benchmarks.results import Row, report
from cli.output import say

SERVICE, YEAR = "employment", 2015
TARGET_MICROSECONDS = 1000.0
"""A request's whole model; the answer over HTTP costs about as much again."""
KINDS: dict[str, dict[str, object]] = {
    "linear": {},
    "random_forest": {"trees": 100, "min_leaf": 20},
    "hist_gradient_boosting": {"iterations": 100},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    asked = parser.parse_args().rows
    rows: list[Row] = []
    for kind, options in KINDS.items():
        say(f"### {kind}: fitting, then {asked} rows one by one through both forms")
        rows += measure_kind(kind, options, asked)
    report("predictor", rows, {"rows asked one by one": asked, "service": SERVICE})


def measure_kind(kind: str, options: dict[str, object], asked: int) -> list[Row]:
    """Fit a kind on one survey year; give both forms' medians, and the served one's parts."""
    import pandas as pd

    from sluice.adapters.registry.model_files import ExportedModel
    from sluice.config.loading import load_service
    from sluice.config.model import ModelConfig
    from sluice.home import SAMPLES
    from sluice.models.export.form import build_onnx_export, take_columns
    from sluice.models.prediction import predict
    from sluice.models.training import fit_model
    from sluice.stats.parity import measure_parity

    config = load_service(SERVICE, "development")
    data, problem = config.data, config.problem
    frame = pd.read_parquet(SAMPLES / f"acs_employment_{YEAR}.parquet")
    model: Any = TypeAdapter(ModelConfig).validate_python({"kind": kind, "seed": 7, **options})
    pipeline = fit_model(problem, model, data, frame, frame[data.target])
    started = time.perf_counter()
    form = build_onnx_export(pipeline, data)
    seconds = time.perf_counter() - started
    served = ExportedModel(form)
    whole = served.predict(take_columns(frame, data))
    evidence = measure_parity(predict(pipeline, frame, data, problem), whole)
    assert not evidence.flips
    assert not evidence.beyond
    singles = [frame.iloc[[at]] for at in range(asked)]
    plain = [{name: [row[name].iloc[0]] for name in data.features} for row in singles]
    numbers = [form.preprocessing.encode(row) for row in plain]
    trained = time_calls(lambda row: predict(pipeline, row, data, problem), singles)
    whole_way = time_calls(served.predict, plain)
    return [
        Row(f"{kind}: trained form", trained, "us a row"),
        Row(f"{kind}: served form", whole_way, "us a row", TARGET_MICROSECONDS),
        Row(f"{kind}: of it preparing", time_calls(form.preprocessing.encode, plain), "us a row"),
        Row(f"{kind}: of it the graph", time_calls(served.run, numbers), "us a row"),
        Row(f"{kind}: trained to served", trained / whole_way, "ratio"),
        Row(f"{kind}: largest difference", (evidence.difference or 0.0) * 1e15, "1e-15"),
        Row(f"{kind}: building the graph", seconds, "s"),
        Row(f"{kind}: size of the graph", len(form.graph) / 1e6, "MB"),
    ]


def time_calls(call: Callable[[Any], Any], arguments: list[Any]) -> float:
    """Call once for each argument after a warm-up; give the median microseconds."""
    for argument in arguments[:20]:
        call(argument)
    taken = []
    for argument in arguments:
        started = time.perf_counter_ns()
        call(argument)
        taken.append(time.perf_counter_ns() - started)
    return median(taken) / 1000


if __name__ == "__main__":
    main()
