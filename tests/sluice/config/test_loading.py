"""A configuration that is wrong is refused by file, line and key, with what is allowed."""

from pathlib import Path

import pytest

from sluice.config.loading import dump_service, list_services, load_service
from sluice.config.service import ServiceConfig
from sluice.errors import ConfigInvalid, ServiceUnknown
from sluice.home import CONFIGS
from support.releases.runs import write_service

DEFAULT = (CONFIGS / "employment.yaml").read_text(encoding="utf-8").splitlines()


def line_of(text: str) -> int:
    """Return the number of the one line of the default service's file that has the text."""
    found = [number for number, line in enumerate(DEFAULT, 1) if text in line]
    assert len(found) == 1, text
    return found[0]


def refuse(folder: Path, *changes: tuple[str, str]) -> str:
    path = write_service(folder, "work", *changes)
    with pytest.raises(ConfigInvalid) as caught:
        load_service("work", "development", folder)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


WRONG = {
    "unknown key": (
        ("learning_rate: 0.1", "learning_rat: 0.1"),
        "model.learning_rat: unknown key (did you mean `learning_rate`?); allowed: calibration, ",
    ),
    "unknown key in a section of a section": (
        ("limit: 0.90", "limt: 0.90"),
        "data.leakage.limt: unknown key (did you mean `limit`?); allowed: allowed, limit",
    ),
    "unknown kind": (
        ("kind: hist_gradient_boosting", "kind: xgboost"),
        "model.kind: found 'xgboost'; allowed: 'linear', 'random_forest', 'hist_gradient_boosting'",
    ),
    "text for a number": (
        ("holdout: 0.30", "holdout: thirty"),
        "split.holdout: Input should be a valid number; found 'thirty'",
    ),
    "quoted number": (
        ("iterations: 100", 'iterations: "100"'),
        "model.iterations: Input should be a valid integer; found '100'",
    ),
    "yes for a number": (
        ("iterations: 100", "iterations: yes"),
        "model.iterations: Input should be a valid integer; found True",
    ),
    "number out of range": (
        ("holdout: 0.30", "holdout: 1.5"),
        "split.holdout: Input should be less than 0.9; found 1.5",
    ),
    "unknown kind of column": (
        ("age: integer", "age: int"),
        "data.columns.age: Input should be 'integer', 'number', 'text', 'boolean' or 'timestamp'",
    ),
    "sensitive column that is none": (
        ("sensitive: [sex, race]", "sensitive: [gender]"),
        "bias.sensitive: no column 'gender'; allowed: person_id, ",
    ),
    "feature that is no column": (
        ("    - age\n", "    - height\n"),
        "data.features.0: no column 'height'; allowed: person_id, ",
    ),
    "slice that is no column": (
        ("columns: [sex, race, education]", "columns: [sex, shoe]"),
        "evaluation.slices.columns: no column 'shoe'; allowed: person_id, ",
    ),
    "threshold that is no probability": (
        ("threshold: 0.5 ", "threshold: 1.5 "),
        "model.threshold: found 1.5, allowed: above 0 and below 1",
    ),
    "range the wrong way round": (
        ("slope: [0.80, 1.25]", "slope: [1.25, 0.80]"),
        "evaluation.calibration.slope: found [1.25, 0.8], allowed: the lower one first",
    ),
    "floor that is no number": (
        ("auc: 0.80", "auc: .nan"),
        "evaluation.floors.auc: Input should be a finite number; found nan",
    ),
    "margin without end": (
        ("margin: 0.01 ", "margin: .inf "),
        "evaluation.margin: Input should be a finite number; found inf",
    ),
    "key given twice": (
        ("learning_rate: 0.1", "iterations: 3"),
        "not readable as YAML: key 'iterations' is given twice",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_value_is_named_by_line_key_and_what_is_allowed(name: str, tmp_path: Path) -> None:
    (old, new), words = WRONG[name]
    line = line_of(old.strip("\n"))
    assert refuse(tmp_path, (old, new)).startswith(f":{line}: {words}")


NOT_YAML = {
    "bracket left open": ("  columns:\n    person_id", "  columns: [\n    person_id"),
    "key that is a list": ("problem: binary", "? [a, b]\n: 1\nproblem: binary"),
    "no such day": ("problem: binary", "born: 2020-13-45\nproblem: binary"),
    "object of a program": ("problem: binary", "problem: !!python/name:os.system"),
    "alias of itself": ("problem: binary", "loop: &loop [*loop]\nproblem: binary"),
}


@pytest.mark.parametrize("name", sorted(NOT_YAML))
def test_files_that_are_not_plain_yaml_are_refused(name: str, tmp_path: Path) -> None:
    message = refuse(tmp_path, NOT_YAML[name])
    assert "not readable as YAML" in message or "alias" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"- a\n- b\n", b"just words"])
def test_file_without_keys_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "work.yaml").write_bytes(content)
    with pytest.raises(ConfigInvalid, match=r"work\.yaml: (not readable as|expected keys)"):
        load_service("work", "development", tmp_path)


def test_empty_file_lacks_every_required_key(tmp_path: Path) -> None:
    (tmp_path / "work.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load_service("work", "development", tmp_path)
    required = [name for name, field in ServiceConfig.model_fields.items() if field.is_required()]
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == required


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    message = refuse(tmp_path, ("holdout: 0.30", "holdout: 2"), ("max_leaves: 31", "max_leaves: 1"))
    assert len(message.splitlines()) == 2


def test_wrong_key_of_an_overlay_is_named_by_the_overlay(tmp_path: Path) -> None:
    write_service(tmp_path, "work")
    overlay = tmp_path / "production.yaml"
    overlay.write_text("# strict\ncode:\n  uncommited: refuse\n", encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load_service("work", "production", tmp_path)
    assert str(caught.value) == (
        f"{overlay}:3: code.uncommited: unknown key (did you mean `uncommitted`?); "
        "allowed: uncommitted"
    )


def test_overlay_replaces_values_of_the_service(tmp_path: Path) -> None:
    write_service(tmp_path, "work")
    (tmp_path / "production.yaml").write_text("code: {uncommitted: refuse}\n", encoding="utf-8")
    assert load_service("work", "production", tmp_path).code.uncommitted == "refuse"
    assert load_service("work", "development", tmp_path).code.uncommitted == "allow"


def test_unknown_environment_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="'prod' is unknown; allowed: development, production"):
        load_service("employment", "prod")


def test_unknown_service_names_the_known(tmp_path: Path) -> None:
    write_service(tmp_path, "work")
    with pytest.raises(ServiceUnknown, match=r"no service 'wrok' in .*; known: work"):
        load_service("wrok", "development", tmp_path)


def test_service_is_no_path(tmp_path: Path) -> None:
    write_service(tmp_path, "work")
    with pytest.raises(ServiceUnknown):
        load_service("../configs/employment", "development", tmp_path)


def test_file_of_another_service_is_refused(tmp_path: Path) -> None:
    write_service(tmp_path, "work").rename(tmp_path / "play.yaml")
    words = r"play\.yaml: service is 'work', the file's name is 'play'"
    with pytest.raises(ConfigInvalid, match=words):
        load_service("play", "development", tmp_path)


def test_overlays_are_no_services(tmp_path: Path) -> None:
    write_service(tmp_path, "work")
    (tmp_path / "production.yaml").write_text("{}", encoding="utf-8")
    assert list_services(tmp_path) == ["work"]


def test_dumped_service_loads_to_the_same(tmp_path: Path) -> None:
    config = load_service("employment", "development")
    (tmp_path / "employment.yaml").write_text(dump_service(config), encoding="utf-8")
    assert load_service("employment", "development", tmp_path) == config
