"""A cached model serves with a backend that agrees with its sample, or not at all."""

import asyncio
import io
import json
import pickle
import shutil
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from serving.models.cache import CacheEntry, ModelCache
from serving.models.loading import load_cached
from serving.models.predictors import INLINE_ROWS, LoadedModel, ModelPredictor
from sluice.adapters.registry.model_files import load_export, save_export
from sluice.config.loading import list_services, load_service
from sluice.config.model import ModelConfig
from sluice.errors import AnswerInvalid, ModelDamaged, ModelUntrusted
from sluice.models.export.onnx_export import SAMPLE_FILE, SAMPLE_ROWS, ParitySample, make_sample
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.stats.holdout import Predictions
from sluice.stats.parity import measure_parity
from support.gateway.faulty import write_faulty
from support.gateway.models import describe_model, write_model_files
from support.releases.services import read_first_rows

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
SMALL = {"linear": {}, "random_forest": {"trees": 20}, "hist_gradient_boosting": {"iterations": 25}}
TRAINING, HELD_OUT = 2000, 400
PATIENCE = 60.0


def keep(models: ModelCache, folder: Path, data: Any, **changes: Any) -> LoadedModel:
    problem = changes.pop("problem", "binary")
    entry = models.keep(describe_model(data, problem, **changes), folder)
    models.publish(entry)
    return load_cached(models, entry)


def copy_files(towns: Any, folder: Path) -> Path:
    """Return the files of the small model that a test may change."""
    return write_model_files(folder, towns.pipeline, towns.held_out, towns.data, "binary")


def list_records(held_out: pd.DataFrame, data: Any) -> bytes:
    """Return rows as JSON, as a caller sends them."""
    nothing = Predictions(np.zeros(len(held_out)))
    return json.dumps(make_sample(held_out, nothing, data).records).encode()


@pytest.mark.parametrize("service", list_services())
def test_both_backends_answer_as_the_trained_pipeline_on_held_out_rows(
    models: ModelCache, service: str, tmp_path: Path
) -> None:
    config = load_service(service, "development")
    kind = config.model.kind
    rows = read_first_rows(config, tmp_path).sample(TRAINING + HELD_OUT, random_state=1)
    rows = rows.reset_index(drop=True)
    training, held_out = rows[:TRAINING], rows[TRAINING:].reset_index(drop=True)
    model = MODEL.validate_python({"kind": kind, "seed": 3, **SMALL[kind]})
    pipeline = fit_model(config.problem, model, config.data, training, training[config.data.target])
    folder = write_model_files(tmp_path / "files", pipeline, held_out, config.data, config.problem)
    wanted = predict(pipeline, held_out, config.data, config.problem)
    for form in ("onnx", "sklearn"):
        loaded = keep(models, folder, config.data, problem=config.problem, form=form)
        assert (loaded.backend.name, loaded.checked_rows) == (form, SAMPLE_ROWS)
        found = loaded.backend.answer(loaded.signature.decode(list_records(held_out, config.data)))
        evidence = measure_parity(wanted, found)
        assert (evidence.n, evidence.beyond, evidence.flips, evidence.missing) == (
            HELD_OUT,
            0,
            0,
            "",
        )
        answers = loaded.answer(loaded.signature.decode(list_records(held_out, config.data)))
        assert [item.prediction for item in answers] == found.labels.tolist()


def test_the_onnx_export_serves_and_is_reported(models: ModelCache, kept: CacheEntry) -> None:
    loaded = load_cached(models, kept)
    predictor = ModelPredictor(loaded, inline=True)
    assert (predictor.version, predictor.backend_name, predictor.backend_reason) == (1, "onnx", "")
    assert (loaded.checked_rows, loaded.digest) == (SAMPLE_ROWS, kept.digest)


def test_the_native_model_serves_where_the_gate_chose_it(models: ModelCache, towns: Any) -> None:
    loaded = keep(models, towns.folder, towns.data, form="sklearn")
    assert (loaded.backend.name, loaded.checked_rows) == ("sklearn", SAMPLE_ROWS)
    assert loaded.backend_reason == "the parity gate chose the native model"


def test_an_export_with_other_answers_is_replaced_by_the_native_model(
    models: ModelCache, towns: Any, tmp_path: Path
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    form = load_export(folder / "serving").export
    save_export(
        replace(form, postprocessing=replace(form.postprocessing, threshold=0.9)),
        folder / "serving",
    )
    loaded = keep(models, folder, towns.data)
    assert loaded.backend.name == "sklearn"
    assert "towns v1, onnx: answers differ from those of its evaluation" in loaded.backend_reason
    assert "labels flip" in loaded.backend_reason


@pytest.mark.parametrize("file", ["serving.onnx", "preprocessing.json", "answering.json"])
def test_an_unreadable_export_is_replaced_by_the_native_model(
    models: ModelCache, towns: Any, tmp_path: Path, file: str
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    (folder / "serving" / file).write_bytes(b"{}")
    loaded = keep(models, folder, towns.data)
    assert loaded.backend.name == "sklearn"
    assert loaded.backend_reason


def test_a_version_whose_backends_both_answer_otherwise_is_refused(
    models: ModelCache, towns: Any, tmp_path: Path
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    sample = ParitySample.from_json((folder / SAMPLE_FILE).read_bytes())
    flipped = tuple("yes" if label == "no" else "no" for label in sample.labels)
    (folder / SAMPLE_FILE).write_text(replace(sample, labels=flipped).to_json())
    with pytest.raises(ModelDamaged, match=r"towns v1, sklearn: answers .* 64 labels flip"):
        keep(models, folder, towns.data)


def test_a_version_without_a_sample_serves_untested(
    models: ModelCache, towns: Any, tmp_path: Path
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    (folder / SAMPLE_FILE).unlink()
    loaded = keep(models, folder, towns.data)
    assert (loaded.backend.name, loaded.checked_rows) == ("onnx", 0)


class Harm:
    """An object that a file must never build."""

    def __reduce__(self) -> Any:
        return (print, ("built",))


def poison(path: Path) -> None:
    """Make the model file name a type that was not reviewed, as skops writes one."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    schema["__class__"], schema["__module__"] = "Popen", "subprocess"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {**parts, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())


@pytest.mark.parametrize("harm", ["type", "pickle"])
def test_a_poisoned_model_file_builds_nothing(
    models: ModelCache,
    towns: Any,
    tmp_path: Path,
    harm: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    if harm == "type":
        poison(folder / "model.skops")
    else:
        (folder / "model.skops").write_bytes(pickle.dumps(Harm()))
    with pytest.raises((ModelUntrusted, ModelDamaged) if harm == "type" else Exception) as refused:
        keep(models, folder, towns.data, form="sklearn")
    assert "reviewed" in str(refused.value) if harm == "type" else "damaged" in str(refused.value)
    assert capsys.readouterr().out == ""


def test_64_callers_at_once_get_the_answers_of_one_and_share_calls(
    models: ModelCache, towns: Any
) -> None:
    loaded = keep(models, towns.folder, towns.data, form="sklearn")
    records = loaded.signature.decode(list_records(towns.held_out.head(64), towns.data))
    alone = loaded.answer(records)
    calls: list[int] = []
    answer = loaded.backend.answer

    class Counted:
        name = loaded.backend.name

        def answer(self, rows: Any) -> Predictions:
            calls.append(len(rows))
            return answer(rows)

    async def ask() -> list[Any]:
        predictor = ModelPredictor(replace(loaded, backend=Counted()), inline=False)
        found = await asyncio.gather(*(predictor.predict([record]) for record in records))
        predictor.close()
        return [item for (item,) in found]

    assert asyncio.run(asyncio.wait_for(ask(), PATIENCE)) == alone
    assert sum(calls) == 64
    assert len(calls) < 10


def test_the_export_has_one_call_per_request_off_the_loop_too(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    loaded = load_cached(models, kept)
    records = loaded.signature.decode(list_records(towns.held_out.head(16), towns.data))
    calls: list[int] = []
    answer = loaded.backend.answer

    class Counted:
        name = loaded.backend.name

        def answer(self, rows: Any) -> Predictions:
            calls.append(len(rows))
            return answer(rows)

    async def ask() -> list[Any]:
        predictor = ModelPredictor(replace(loaded, backend=Counted()), inline=False)
        calls_of_one = [predictor.predict([record]) for record in records[:12]]
        found = await asyncio.gather(*calls_of_one, predictor.predict(records[12:]))
        predictor.close()
        return [item for items in found for item in items]

    assert asyncio.run(asyncio.wait_for(ask(), PATIENCE)) == loaded.answer(records)
    assert sorted(calls) == [*[1] * 12, 4]


def test_latency_excludes_the_wait_for_the_thread(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    loaded = load_cached(models, kept)
    [record] = loaded.signature.decode(list_records(towns.held_out.head(1), towns.data))
    answer, spent = loaded.backend.answer, 0.5

    class Slow:
        name = loaded.backend.name

        def answer(self, rows: Any) -> Predictions:
            time.sleep(spent)
            return answer(rows)

    async def ask() -> list[float]:
        predictor = ModelPredictor(replace(loaded, backend=Slow()), inline=False)
        first = asyncio.create_task(predictor.predict_timed([record]))
        await asyncio.sleep(spent / 5)  # the thread has taken it, or the two are one call
        _, second = await predictor.predict_timed([record])
        predictor.close()
        return [(await first)[1], second]

    began = time.monotonic()
    found = asyncio.run(asyncio.wait_for(ask(), PATIENCE))
    assert min(found) >= spent
    assert sum(found) <= time.monotonic() - began + spent  # one call, or two in a row


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("rows", [1, INLINE_ROWS + 1])
def test_the_export_answers_the_same_inline_and_in_a_thread(
    models: ModelCache, kept: CacheEntry, towns: Any, inline: bool, rows: int
) -> None:
    loaded = load_cached(models, kept)
    records = loaded.signature.decode(list_records(towns.held_out.head(rows), towns.data))

    async def ask() -> list[Any]:
        predictor = ModelPredictor(loaded, inline=inline)
        return await predictor.predict(records)

    assert asyncio.run(asyncio.wait_for(ask(), PATIENCE)) == loaded.answer(records)


@pytest.mark.parametrize(
    "answers",
    [
        Predictions(np.array(["yes"], dtype=object), np.array([np.nan]), ("no", "yes")),
        Predictions(np.array(["yes"] * 2, dtype=object), np.array([0.5] * 2), ("no", "yes")),
        Predictions(np.array([1]), np.array(["0.5"]), ("no", "yes")),
    ],
    ids=["NaN", "shape", "dtype"],
)
@pytest.mark.parametrize("inline", [True, False])
def test_an_invalid_answer_is_a_failure_of_the_arm(
    models: ModelCache, kept: CacheEntry, towns: Any, answers: Predictions, inline: bool
) -> None:
    loaded = load_cached(models, kept)

    class Wrong:
        name = loaded.backend.name

        def answer(self, _rows: Any) -> Predictions:
            return answers

    record = loaded.signature.decode(list_records(towns.held_out.head(1), towns.data))

    async def ask() -> None:
        await ModelPredictor(replace(loaded, backend=Wrong()), inline=inline).predict(record)

    with pytest.raises(AnswerInvalid):
        asyncio.run(asyncio.wait_for(ask(), PATIENCE))


HANGING = """
import asyncio, os, sys
from pathlib import Path
from serving.models import loading
from serving.models.cache import ModelCache
loading.LOAD_SECONDS = 3.0
async def load():
    models = loading.LoadedModels(ModelCache(Path(sys.argv[1]), None))
    await models.load([("hangs", 1), ("towns", 1)], 0.0)
    print(models.champion("hangs", 1), models.explain_missing("hangs", 1))
    print(models.champion("towns", 1).version, await models.load([("hangs", 1)], 1e9), flush=True)
asyncio.run(load())
"""


def test_a_model_that_hangs_while_it_is_loaded_stops_no_other(
    models: ModelCache, kept: CacheEntry, towns: Any, tmp_path: Path
) -> None:
    import subprocess
    import sys

    folder = write_faulty(towns.folder, tmp_path / "hangs", "hang")
    shutil.copy(towns.folder / SAMPLE_FILE, folder)
    models.publish(models.keep(describe_model(towns.data, "binary", service="hangs"), folder))
    with subprocess.Popen(
        [sys.executable, "-c", HANGING, str(models.folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(2)]
        process.kill()  # its thread never ends
    assert lines == ["None v1 did not load within 3 s", "1 False"]


COLLECTING = """
import asyncio, gc, sys, weakref
from pathlib import Path
from serving.models import loading
from serving.models.cache import ModelCache
class Node: pass
async def load():
    models = loading.LoadedModels(ModelCache(Path(sys.argv[1]), None))
    await models.load([("towns", 1)], 0.0)
    print(len(gc.get_objects()) < 5000, models.champion("towns", 1).version)
    node = Node()
    node.itself, alive = node, weakref.ref(node)
    gc.freeze()
    del node
    models._champions.clear()
    await models.load([("towns", 1)], 0.0)
    print(alive())
asyncio.run(load())
"""


def test_full_collections_spare_what_is_loaded_and_free_what_was_dropped(
    models: ModelCache, kept: CacheEntry
) -> None:
    import subprocess
    import sys

    words = [sys.executable, "-c", COLLECTING, str(models.folder)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == ["True", "1", "None"]


def test_serving_an_export_imports_neither_pandas_nor_mlflow(
    models: ModelCache, kept: CacheEntry
) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path\n"
        "from serving.models.cache import ModelCache\n"
        "from serving.models.loading import load_cached\n"
        "cache = ModelCache(Path(sys.argv[1]), None)\n"
        "loaded = load_cached(cache, cache.find('towns', 1))\n"
        'loaded.answer(loaded.signature.decode(b\'{"size": 1, "town": null, "here": true}\'))\n'
        "heavy = {'mlflow', 'prefect', 'pandas', 'sklearn', 'great_expectations'} "
        "& set(sys.modules)\n"
        "print(loaded.backend.name, sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(models.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "onnx []", done.stderr
