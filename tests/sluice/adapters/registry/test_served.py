"""A version from the registry in the form that serves, for many rows at once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from serving.models.cache import ModelCache
from serving.models.loading import load_cached
from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.served import load_served
from sluice.errors import ModelDamaged, SignatureInvalid
from sluice.models.export.onnx_export import SAMPLE_FILE
from sluice.scoring.inputs import make_frame, sift_inputs
from support.gateway.models import describe_model, register_towns, sign_stored, write_towns
from support.gateway.towns import DATA, Towns, make_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Towns:
    return write_towns(tmp_path_factory.mktemp("towns"))


@pytest.mark.parametrize(("form", "reason"), [("onnx", ""), ("sklearn", "the parity gate chose")])
def test_it_answers_as_the_gateway_does(
    registry: Registry, towns: Towns, tmp_path: Path, form: str, reason: str
) -> None:
    version = register_towns(registry, towns, f"answers-{form}", form)
    model = load_served(registry, version)
    assert model.form == form
    assert model.reason.startswith(reason)
    rows = make_rows(7)
    table = pa.Table.from_pandas(rows[["size", "town", "here"]], preserve_index=False)
    sifted = sift_inputs(table, DATA, (), "rows")
    answers = model.answer(make_frame(sifted.features, DATA))
    cache = ModelCache(tmp_path / "models", None)
    entry = cache.keep(describe_model(DATA, "binary", form=form), towns.folder)
    cache.publish(entry)
    loaded = load_cached(cache, entry)
    given = [{**row, "town": row["town"]} for row in table.to_pylist()]
    import json

    there = loaded.answer(loaded.signature.decode(json.dumps(given).encode()))
    assert [item.prediction for item in there] == answers.labels.tolist()
    expected = [(item.probabilities or {})["yes"] for item in there]
    assert answers.scores is not None
    assert np.array_equal(np.array(expected), answers.scores)


def test_a_version_whose_answers_changed_is_refused(
    registry: Registry, towns: Towns, tmp_path: Path
) -> None:
    sample = (towns.folder / SAMPLE_FILE).read_text()
    spoiled = sample.replace('"scores": [0.', '"scores": [0.9', 1)
    version = register_towns(registry, towns, "changed", **{SAMPLE_FILE: spoiled})
    with pytest.raises(ModelDamaged, match="answers differ from those of its evaluation"):
        load_served(registry, version)


def test_loading_needs_the_configuration_of_the_release(registry: Registry, towns: Towns) -> None:
    version = register_towns(registry, towns, "configuration")
    registry.log_text(version.run_id, "config.yaml", "nothing")
    sign_stored(registry, version)
    with pytest.raises(ModelDamaged, match="is not the configuration of a service"):
        load_served(registry, version)


@pytest.mark.parametrize("name", ["model.skops", "serving/preprocessing.json", SAMPLE_FILE])
def test_a_file_changed_by_one_byte_after_registration_scores_nothing(
    registry: Registry, towns: Towns, name: str
) -> None:
    service = "byte-" + name.rpartition("/")[2].partition(".")[0].replace("_", "-")
    version = register_towns(registry, towns, service)
    (file,) = (registry.artifact_root / service).glob(f"models/*/artifacts/{name}")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(SignatureInvalid, match=f"{service} v1: {name} is not the one"):
        load_served(registry, version)


def test_a_configuration_changed_after_registration_scores_nothing(
    registry: Registry, towns: Towns
) -> None:
    version = register_towns(registry, towns, "edited")
    text = registry.read_text(version.run_id, "config.yaml")
    registry.log_text(version.run_id, "config.yaml", text + "# edited\n")
    with pytest.raises(SignatureInvalid, match=r"config\.yaml is not the one that was signed"):
        load_served(registry, version)
