import io
import itertools
import os
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from sklearn.datasets import make_classification, make_regression

from sluice.adapters.registry.model_files import TRUSTED_TYPES, load_model, save_model
from sluice.config.data import DataConfig
from sluice.config.model import ModelConfig
from sluice.errors import DataInvalid, DataMissing, ModelUntrusted, StorageFull
from sluice.models.prediction import predict
from sluice.models.training import find_threshold, fit_model
from support.servers.forks import run_code

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
SMALL = {"linear": {}, "random_forest": {"trees": 5}, "hist_gradient_boosting": {"iterations": 5}}
COLUMNS = {"id": "integer", "a": "number", "b": "number", "c": "text", "d": "boolean"}
COLUMNS |= {"e": "timestamp", "y": "number"}


def make_rows(problem: str) -> tuple[DataConfig, pd.DataFrame]:
    values = {"id": "id", "target": "y", "suite": "none", "features": list("abcde")}
    data = DataConfig.model_validate({**values, "columns": COLUMNS})
    if problem == "regression":
        X, y = make_regression(120, 2, random_state=0)
    else:
        X, y = make_classification(
            120, 4, n_informative=3, n_redundant=0, random_state=0,
            n_classes=2 if problem == "binary" else 3, n_clusters_per_class=1,
        )  # fmt: skip
    frame = pd.DataFrame({"id": range(120), "a": X[:, 0], "b": X[:, 1], "y": y})
    frame["c"] = np.where(X[:, 0] > 0, "up", "down")
    frame["d"] = X[:, 1] > 0
    frame["e"] = pd.date_range("2020-01-01", periods=120, freq="D")
    return data, frame


def list_variants() -> list[tuple[str, str, str, object]]:
    variants = []
    for kind, problem in itertools.product(SMALL, ("binary", "multiclass", "regression")):
        calibrations = ["none"] if problem == "regression" else ["none", "sigmoid", "isotonic"]
        thresholds = [0.5, "f1"] if problem == "binary" else [0.5]
        variants += [(kind, problem, *rest) for rest in itertools.product(calibrations, thresholds)]
    return variants


@pytest.mark.parametrize(("kind", "problem", "calibration", "threshold"), list_variants())
def test_every_variant_is_read_back_identical(
    tmp_path: Path, kind: str, problem: str, calibration: str, threshold: object
) -> None:
    data, frame = make_rows(problem)
    options = {"calibration": calibration, "threshold": threshold, **SMALL[kind]}
    model = MODEL.validate_python({"kind": kind, **options})
    pipeline = fit_model(problem, model, data, frame, frame["y"])
    save_model(pipeline, tmp_path / "model.skops")
    again = load_model(tmp_path / "model.skops")
    before, after = (predict(one, frame, data, problem) for one in (pipeline, again))
    assert np.array_equal(before.labels, after.labels)
    assert before.scores is None or np.array_equal(before.scores, after.scores)
    assert find_threshold(again) == find_threshold(pipeline)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, frame = make_rows("binary")
    model = MODEL.validate_python({"kind": "hist_gradient_boosting", "iterations": 5})
    path = tmp_path_factory.mktemp("models") / "model.skops"
    save_model(fit_model("binary", model, data, frame, frame["y"]), path)
    return path


def test_no_member_of_the_file_is_a_pickle(model_file: Path) -> None:
    with zipfile.ZipFile(model_file) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert name.endswith((".npy", ".json"))
            assert b"allow_pickle" not in content
            assert not _is_pickle(content)
            if name.endswith(".npy"):
                np.load(io.BytesIO(content), allow_pickle=False)


def _is_pickle(content: bytes) -> bool:
    try:
        return any(code.name == "STOP" for code, _, _ in pickletools.genops(content))
    except (ValueError, IndexError):
        return False


def test_every_trusted_type_exists() -> None:
    from importlib import import_module

    for name in TRUSTED_TYPES:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute)


def test_a_type_that_was_not_reviewed_is_not_saved(tmp_path: Path) -> None:
    from fractions import Fraction

    with pytest.raises(ModelUntrusted, match=r"fractions\.Fraction"):
        save_model({"model": Fraction(1, 3)}, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def test_a_type_that_was_not_reviewed_is_not_loaded(tmp_path: Path) -> None:
    import skops.io
    from sklearn.gaussian_process.kernels import RBF

    skops.io.dump(RBF(), tmp_path / "model.skops")
    with pytest.raises(ModelUntrusted, match=r"RBF; review them"):
        load_model(tmp_path / "model.skops")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(model_file: Path, tmp_path: Path, share: float) -> None:
    content = model_file.read_bytes()
    (tmp_path / "cut.skops").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataInvalid, match=r"cut\.skops .* is truncated"):
        load_model(tmp_path / "cut.skops")


def test_a_damaged_file_is_refused(model_file: Path, tmp_path: Path) -> None:
    content = bytearray(model_file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    (tmp_path / "bad.skops").write_bytes(content)
    with pytest.raises(DataInvalid, match="damaged"):
        load_model(tmp_path / "bad.skops")


def test_an_archive_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.skops", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataInvalid, match="no model file"):
        load_model(tmp_path / "other.skops")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"nowhere\.skops"):
        load_model(tmp_path / "nowhere.skops")


def test_a_full_disk_leaves_the_old_model(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(model_file.read_bytes())
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from sluice.adapters.registry.model_files import load_model, save_model\n"
        "from sluice.errors import StorageFull\n"
        "path = Path(sys.argv[1]); model = load_model(path)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    save_model(model, path)\nexcept StorageFull as error:\n    print(error)\n"
    )
    done = run_code(script, [str(path)], os.environ)
    assert done.returncode == 0, done.stderr
    assert "model file model.skops" in done.stdout
    assert [item.name for item in tmp_path.iterdir()] == ["model.skops"]
    load_model(path)
    assert issubclass(StorageFull, Exception)
