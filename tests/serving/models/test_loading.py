"""A cached model serves in the form that answers as the trained one did, or not at all."""

import asyncio
import io
import json
import pickle
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
from sluice.adapters.registry.model_files import load_serving, save_serving
from sluice.config.loading import list_services, load_service
from sluice.config.model import ModelConfig
from sluice.errors import AnswerInvalid, ModelDamaged, ModelUntrusted
from sluice.models.export.form import ROWS, SAMPLE_FILE, ParitySample, make_sample
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.stats.holdout import Predictions
from sluice.stats.parity import measure_parity
from support.gateway.models import describe_model, write_model_files
from support.releases.services import read_first_rows

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
SMALL = {"linear": {}, "random_forest": {"trees": 20}, "hist_gradient_boosting": {"iterations": 25}}
TAUGHT, ASKED = 2000, 400
PATIENCE = 60.0


def keep(models: ModelCache, folder: Path, data: Any, **changes: Any) -> LoadedModel:
    problem = changes.pop("problem", "binary")
    entry = models.keep(describe_model(data, problem, **changes), folder)
    models.publish(entry)
    return load_cached(models, entry)


def copy_files(towns: Any, folder: Path) -> Path:
    """Give files of the small model that a test may change."""
    return write_model_files(folder, towns.pipeline, towns.asked, towns.data, "binary")


def list_records(asked: pd.DataFrame, data: Any) -> bytes:
    """Write rows as a caller sends them."""
    nothing = Predictions(np.zeros(len(asked)))
    return json.dumps(make_sample(asked, nothing, data).records).encode()


@pytest.mark.parametrize("service", list_services())
def test_both_forms_answer_as_the_trained_one_on_held_out_rows(
    models: ModelCache, service: str, tmp_path: Path
) -> None:
    config = load_service(service, "development")
    kind = config.model.kind
    rows = read_first_rows(config, tmp_path).sample(TAUGHT + ASKED, random_state=1)
    rows = rows.reset_index(drop=True)
    taught, asked = rows[:TAUGHT], rows[TAUGHT:].reset_index(drop=True)
    model = MODEL.validate_python({"kind": kind, "seed": 3, **SMALL[kind]})
    pipeline = fit_model(config.problem, model, config.data, taught, taught[config.data.target])
    folder = write_model_files(tmp_path / "files", pipeline, asked, config.data, config.problem)
    wanted = predict(pipeline, asked, config.data, config.problem)
    for form, name in (("onnx", "onnx"), ("sklearn", "trained")):
        loaded = keep(models, folder, config.data, problem=config.problem, form=form)
        assert (loaded.form.name, loaded.proved) == (name, ROWS)
        found = loaded.form.answer(loaded.signature.decode(list_records(asked, config.data)))
        evidence = measure_parity(wanted, found)
        assert (evidence.n, evidence.beyond, evidence.flips, evidence.missing) == (ASKED, 0, 0, "")
        answers = loaded.answer(loaded.signature.decode(list_records(asked, config.data)))
        assert [item.prediction for item in answers] == found.labels.tolist()


def test_the_graph_serves_and_says_so(models: ModelCache, kept: CacheEntry) -> None:
    loaded = load_cached(models, kept)
    predictor = ModelPredictor(loaded, inline=True)
    assert (predictor.version, predictor.form, predictor.why) == (1, "onnx", "")
    assert (loaded.proved, loaded.digest) == (ROWS, kept.digest)


def test_the_trained_form_serves_where_the_gate_said_so(models: ModelCache, towns: Any) -> None:
    loaded = keep(models, towns.folder, towns.data, form="sklearn")
    assert (loaded.form.name, loaded.proved) == ("trained", ROWS)
    assert loaded.why == "the parity gate let the trained form serve"


def test_a_graph_that_answers_otherwise_here_gives_way_to_the_trained_form(
    models: ModelCache, towns: Any, tmp_path: Path
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    form = load_serving(folder / "serving").form
    save_serving(
        replace(form, answering=replace(form.answering, threshold=0.9)), folder / "serving"
    )
    loaded = keep(models, folder, towns.data)
    assert loaded.form.name == "trained"
    assert "towns v1, onnx: answers otherwise than when it was judged" in loaded.why
    assert "labels flip" in loaded.why


@pytest.mark.parametrize("file", ["serving.onnx", "preprocessing.json", "answering.json"])
def test_a_graph_that_cannot_be_read_gives_way_to_the_trained_form(
    models: ModelCache, towns: Any, tmp_path: Path, file: str
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    (folder / "serving" / file).write_bytes(b"{}")
    loaded = keep(models, folder, towns.data)
    assert loaded.form.name == "trained"
    assert loaded.why


def test_a_version_whose_forms_both_answer_otherwise_is_refused(
    models: ModelCache, towns: Any, tmp_path: Path
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    sample = ParitySample.from_json((folder / SAMPLE_FILE).read_bytes())
    flipped = tuple("yes" if label == "no" else "no" for label in sample.labels)
    (folder / SAMPLE_FILE).write_text(replace(sample, labels=flipped).to_json())
    with pytest.raises(ModelDamaged, match=r"towns v1, trained: answers .* 64 labels flip"):
        keep(models, folder, towns.data)


def test_a_version_without_a_sample_serves_unproved(
    models: ModelCache, towns: Any, tmp_path: Path
) -> None:
    folder = copy_files(towns, tmp_path / "files")
    (folder / SAMPLE_FILE).unlink()
    loaded = keep(models, folder, towns.data)
    assert (loaded.form.name, loaded.proved) == ("onnx", 0)


class Harm:
    """What a file must never build."""

    def __reduce__(self) -> Any:
        return (print, ("built",))


def poison(path: Path) -> None:
    """Make the model file name a type that nobody reviewed, as skops writes one."""
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
    records = loaded.signature.decode(list_records(towns.asked.head(64), towns.data))
    alone = loaded.answer(records)
    calls: list[int] = []
    answer = loaded.form.answer

    class Counted:
        name = loaded.form.name

        def answer(self, rows: Any) -> Predictions:
            calls.append(len(rows))
            return answer(rows)

    async def ask() -> list[Any]:
        predictor = ModelPredictor(replace(loaded, form=Counted()), inline=False)
        found = await asyncio.gather(*(predictor.predict([record]) for record in records))
        predictor.close()
        return [item for (item,) in found]

    assert asyncio.run(asyncio.wait_for(ask(), PATIENCE)) == alone
    assert sum(calls) == 64
    assert len(calls) < 10


def test_the_graph_has_a_call_for_each_request_off_the_loop_too(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    loaded = load_cached(models, kept)
    records = loaded.signature.decode(list_records(towns.asked.head(16), towns.data))
    calls: list[int] = []
    answer = loaded.form.answer

    class Counted:
        name = loaded.form.name

        def answer(self, rows: Any) -> Predictions:
            calls.append(len(rows))
            return answer(rows)

    async def ask() -> list[Any]:
        predictor = ModelPredictor(replace(loaded, form=Counted()), inline=False)
        asked = [predictor.predict([record]) for record in records[:12]]
        found = await asyncio.gather(*asked, predictor.predict(records[12:]))
        predictor.close()
        return [item for items in found for item in items]

    assert asyncio.run(asyncio.wait_for(ask(), PATIENCE)) == loaded.answer(records)
    assert sorted(calls) == [*[1] * 12, 4]


def test_time_is_the_models_own_however_long_a_call_waited_for_its_thread(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    loaded = load_cached(models, kept)
    [record] = loaded.signature.decode(list_records(towns.asked.head(1), towns.data))
    answer, spent = loaded.form.answer, 0.5

    class Slow:
        name = loaded.form.name

        def answer(self, rows: Any) -> Predictions:
            time.sleep(spent)
            return answer(rows)

    async def ask() -> list[float]:
        predictor = ModelPredictor(replace(loaded, form=Slow()), inline=False)
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
def test_the_graph_answers_the_same_inline_and_in_a_thread(
    models: ModelCache, kept: CacheEntry, towns: Any, inline: bool, rows: int
) -> None:
    loaded = load_cached(models, kept)
    records = loaded.signature.decode(list_records(towns.asked.head(rows), towns.data))

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
def test_what_is_no_answer_is_a_failure_of_the_arm(
    models: ModelCache, kept: CacheEntry, towns: Any, answers: Predictions, inline: bool
) -> None:
    loaded = load_cached(models, kept)

    class Wrong:
        name = loaded.form.name

        def answer(self, _rows: Any) -> Predictions:
            return answers

    record = loaded.signature.decode(list_records(towns.asked.head(1), towns.data))

    async def ask() -> None:
        await ModelPredictor(replace(loaded, form=Wrong()), inline=inline).predict(record)

    with pytest.raises(AnswerInvalid):
        asyncio.run(asyncio.wait_for(ask(), PATIENCE))


def test_serving_a_graph_imports_neither_pandas_nor_the_registrys_library(
    models: ModelCache, kept: CacheEntry
) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path\n"
        "from serving.models.cache import ModelCache\n"
        "from serving.models.loading import load_cached\n"
        "cache = ModelCache(Path(sys.argv[1]))\n"
        "loaded = load_cached(cache, cache.find('towns', 1))\n"
        'loaded.answer(loaded.signature.decode(b\'{"size": 1, "town": null, "here": true}\'))\n'
        "heavy = {'mlflow', 'prefect', 'pandas', 'sklearn', 'great_expectations'} "
        "& set(sys.modules)\n"
        "print(loaded.form.name, sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(models.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "onnx []", done.stderr
