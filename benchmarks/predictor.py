"""One row through the ONNX export, and the same row through the native model.

`python -m benchmarks.predictor [--rows 300]`; the default service's model of each kind, one thread.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from benchmarks.harness.results import Row, report
from cli.output import say

SERVICE, YEAR = "employment", 2015
TARGET_MICROSECONDS = 1000.0
"""Target of a whole prediction; the answer over HTTP costs about the same again."""
KINDS: dict[str, dict[str, object]] = {
    "linear": {},
    "random_forest": {"trees": 100, "min_leaf": 20},
    "hist_gradient_boosting": {"iterations": 100},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    count = parser.parse_args().rows
    rows: list[Row] = []
    for kind, options in KINDS.items():
        say(f"### {kind}: fitting, then {count} rows one by one through both backends")
        rows += measure_kind(kind, options, count)
    report("predictor", rows, {"rows one by one": count, "service": SERVICE})


def measure_kind(kind: str, options: dict[str, object], count: int) -> list[Row]:
    """Fit a kind on one survey year; return the medians of both backends and of their parts."""
    import pandas as pd

    from sluice.adapters.registry.model_files import ExportedModel
    from sluice.config.loading import load_service
    from sluice.config.model import ModelConfig
    from sluice.home import SAMPLES
    from sluice.models.export.onnx_export import build_onnx_export, take_columns
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
    singles = [frame.iloc[[at]] for at in range(count)]
    plain = [{name: [row[name].iloc[0]] for name in data.features} for row in singles]
    numbers = [form.preprocessing.encode(row) for row in plain]
    native = time_calls(lambda row: predict(pipeline, row, data, problem), singles)
    exported = time_calls(served.predict, plain)
    return [
        Row(f"{kind}: native model", native, "us a row"),
        Row(f"{kind}: ONNX export", exported, "us a row", TARGET_MICROSECONDS),
        Row(f"{kind}: of it preparing", time_calls(form.preprocessing.encode, plain), "us a row"),
        Row(f"{kind}: of it the graph", time_calls(served.run, numbers), "us a row"),
        Row(f"{kind}: native model to ONNX export", native / exported, "ratio"),
        Row(f"{kind}: largest difference", (evidence.difference or 0.0) * 1e15, "1e-15"),
        Row(f"{kind}: building the graph", seconds, "s"),
        Row(f"{kind}: size of the graph", len(form.graph) / 1e6, "MB"),
    ]


def time_calls(call: Callable[[Any], Any], arguments: list[Any]) -> float:
    """Call once for each argument after a warm-up; return the median microseconds."""
    for argument in arguments[:20]:
        call(argument)
    times = []
    for argument in arguments:
        started = time.perf_counter_ns()
        call(argument)
        times.append(time.perf_counter_ns() - started)
    return median(times) / 1000


if __name__ == "__main__":
    main()
