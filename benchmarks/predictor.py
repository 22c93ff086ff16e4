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
ENCODINGS: dict[str, tuple[str, str]] = {
    "a timestamp as seconds": ("timestamp", "seconds"),
    "a timestamp's calendar": ("timestamp", "calendar"),
    "a date and its age": ("timestamp", "date"),
    "a text of 12 words": ("text", "text"),
    "a text of 500 values": ("text", "target"),
}
"""Columns that are added to the service's, one at a time: their kind and encoding."""
WORDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    count = parser.parse_args().rows
    rows: list[Row] = []
    for kind, options in KINDS.items():
        say(f"### {kind}: fitting, then {count} rows one by one through both backends")
        rows += measure_kind(kind, options, count)
    say(f"### encodings: gradient boosting with one column more, {count} rows one by one")
    rows += measure_encodings(count)
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


def measure_encodings(count: int) -> list[Row]:
    """Return what one column more of each encoding costs a row, as the gateway prepares it."""
    import numpy as np
    import pandas as pd

    from sluice.adapters.registry.model_files import ExportedModel
    from sluice.config.data import DataConfig
    from sluice.config.loading import load_service
    from sluice.config.model import HistGradientBoosting
    from sluice.home import SAMPLES
    from sluice.models.export.onnx_export import build_onnx_export, take_columns
    from sluice.models.export.row_encoder import RowEncoder
    from sluice.models.prediction import predict
    from sluice.models.training import fit_model
    from sluice.stats.parity import measure_parity

    config = load_service(SERVICE, "development")
    frame = pd.read_parquet(SAMPLES / f"acs_employment_{YEAR}.parquet")
    draw = np.random.default_rng(7)
    seconds = draw.integers(0, 3 * 10**8, len(frame))
    words = [" ".join(f"w{at}" for at in draw.integers(0, WORDS, 12)) for _ in range(len(frame))]
    moments = pd.Timestamp("2015-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    values: dict[str, Any] = {
        "timestamp": moments,
        "text": pd.Series(words, dtype="str"),
        "target": pd.Series([f"v{at}" for at in draw.integers(0, 500, len(frame))], dtype="str"),
    }
    model = HistGradientBoosting(kind="hist_gradient_boosting", seed=7)
    rows: list[Row] = []
    for name, (kind, encoding) in {"nothing more": ("", ""), **ENCODINGS}.items():
        described = config.data.model_dump(mode="json")
        if kind:
            described["columns"]["extra"] = kind
            described["features"].append("extra")
            described["encodings"] = {"extra": encoding}
        data = DataConfig.model_validate(described)
        wider = frame.assign(extra=values.get(encoding, values.get(kind, 0)))
        pipeline = fit_model("binary", model, data, wider, wider[data.target])
        form = build_onnx_export(pipeline, data)
        served, encoder = ExportedModel(form), RowEncoder(form.preprocessing)
        found = served.predict(take_columns(wider, data))
        evidence = measure_parity(predict(pipeline, wider, data, "binary"), found)
        assert not evidence.flips
        assert not evidence.beyond
        places = (wider.columns.get_loc(column) for column in encoder.names)
        columns = [_list_values(wider.iloc[:count, place]) for place in places]
        records = [[record] for record in zip(*columns, strict=True)]
        prepare = time_calls(encoder.encode, records)
        whole = time_calls(lambda row, e=encoder, s=served: s.run(e.encode(row)), records)  # type: ignore[misc]
        rows += [
            Row(f"boosting with {name}: preparing", prepare, "us a row"),
            Row(f"boosting with {name}: with the graph", whole, "us a row", TARGET_MICROSECONDS),
        ]
    return rows


def _list_values(values: Any) -> list[Any]:
    """Return a column as the gateway decodes it: None for a null, Python's numbers and times."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        return [value.to_pydatetime() for value in values]
    return [None if pd.isna(value) else value for value in values.tolist()]


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
