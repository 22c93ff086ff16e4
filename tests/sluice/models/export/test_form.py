"""Which form of a version serves."""

import pytest

from sluice.errors import DataUnavailable, ModelDamaged
from sluice.models.export.form import choose_form, read_facts
from support.gateway.models import CONFIG
from support.gateway.towns import DATA

TEXT = CONFIG.format(data=DATA.model_dump_json())


def fail() -> str:
    raise ModelDamaged("its answers differ")


def test_the_export_serves_where_it_agrees() -> None:
    assert choose_form("onnx", True, lambda: "export", fail) == ("export", "")


@pytest.mark.parametrize(
    ("form", "has_export", "reason"),
    [
        ("sklearn", True, "the parity gate chose the native model"),
        ("onnx", False, "the registry has no ONNX export of it"),
        ("onnx", True, "its answers differ"),
    ],
)
def test_the_native_model_serves_with_a_reason(form: str, has_export: bool, reason: str) -> None:
    found = choose_form(form, has_export, fail, lambda: "native")  # type: ignore[arg-type]
    assert found == ("native", reason)


def test_a_version_of_which_no_form_agrees_is_refused() -> None:
    with pytest.raises(ModelDamaged):
        choose_form("onnx", True, fail, fail)


def test_an_outage_is_no_reason_for_the_other_form() -> None:
    def is_away() -> str:
        raise DataUnavailable("the disk")

    with pytest.raises(DataUnavailable):
        choose_form("onnx", True, is_away, lambda: "native")


def test_facts_come_from_the_tags_and_the_configuration_of_the_release() -> None:
    facts = read_facts("towns v1", {"sluice.serving.form": "sklearn"}, TEXT, True)
    assert (facts.data, facts.problem, facts.form) == (DATA, "binary", "sklearn")
    assert read_facts("towns v1", {}, TEXT, True).form == "onnx"
    assert read_facts("towns v1", {}, TEXT, False).form == "sklearn"


@pytest.mark.parametrize("text", ["", "data: {}", "[1]", "problem: binary", "data: {id: 1}\n:"])
def test_another_text_is_no_configuration(text: str) -> None:
    with pytest.raises(ModelDamaged, match=r"towns v1: config\.yaml of its run is not"):
        read_facts("towns v1", {}, text, False)
