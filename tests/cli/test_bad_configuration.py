"""A configuration that is wrong is refused by the command before anything starts."""

from pathlib import Path

import pytest

from support.releases.runs import read_complaints, run_sluice, write_service

MISCONFIGURED = {
    "unknown key": (
        ("  holdout: 0.30", "  holdot: 0.30"),
        "work.yaml:51: split.holdot: unknown key (did you mean `holdout`?); allowed: by, folds, ",
    ),
    "key given twice": (("  by: hash", "  seed: 1"), "key 'seed' is given twice"),
    "no YAML": (("problem: binary", "problem: [binary"), "not readable as YAML"),
    "wrong type": (
        ("iterations: 100", "iterations: many"),
        "work.yaml:56: model.iterations: Input should be a valid integer; found 'many'",
    ),
    "unknown kind": (
        ("kind: hist_gradient_boosting", "kind: xgboost"),
        "model.kind: found 'xgboost'; allowed: 'linear', 'random_forest', 'hist_gradient_boosting'",
    ),
    "unknown metric": (
        ("primary: auc", "primary: roc"),
        "evaluation.primary: 'roc' is not a metric of binary problems; allowed: ",
    ),
    "unknown sensitive column": (
        ("sensitive: [sex, race]", "sensitive: [sex, tribe]"),
        "bias.sensitive: no column 'tribe'; allowed: person_id, ",
    ),
}


@pytest.mark.parametrize("name", sorted(MISCONFIGURED))
def test_configuration_is_refused_before_anything_starts(name: str, tmp_path: Path) -> None:
    change, words = MISCONFIGURED[name]
    configs = tmp_path / "configs"
    write_service(configs, "work", change)
    home = tmp_path / "home"
    ended = run_sluice("release", "work", home=home, SLUICE_CONFIGS=str(configs))
    assert ended.returncode == 2
    assert ended.stdout.startswith("ConfigInvalid: ")
    assert words in ended.stdout
    assert read_complaints(ended) == ""
    assert not home.exists()
