"""The bill of materials is CycloneDX 1.6, and names model, data, files and packages."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sluice.config.loading import load_service
from sluice.data.version import DataVersion
from sluice.doctor import LockedPackage, read_lock
from sluice.home import LOCK
from sluice.identity import CodeVersion, Environment, ReleaseIdentity
from sluice.security.bill import write_bill
from sluice.verdict import Check, Outcome, Verdict

AT = datetime(2026, 12, 1, 12, tzinfo=UTC)
DATA = DataVersion("/state/table", 2, 24_000, "a" * 64, "b" * 64)
IDENTITY = ReleaseIdentity(
    "employment",
    DATA,
    CodeVersion("c" * 40, False),
    "d" * 64,
    Environment("e" * 64, "3.11.7", "linux-x86_64", ""),
)
VERDICTS = (
    Verdict(
        "evaluation",
        Outcome.PASS,
        (Check("auc", Outcome.PASS, 0.835, (0.82, 0.85), 0.8, ">="), Check("x", Outcome.LISTED)),
        "auc .835",
        "",
        ("race: too few rows",),
    ),
)
HASHES = {"model.skops": "f" * 64}


@pytest.fixture(scope="module")
def text() -> str:
    packages = read_lock(LOCK.read_text(encoding="utf-8"))
    config = load_service("employment", "development")
    return write_bill(config, IDENTITY, VERDICTS, packages, HASHES, AT)


@pytest.fixture(scope="module")
def bill(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def test_it_is_cyclonedx(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_validator_sees_a_mistake(bill: dict[str, Any]) -> None:
    wrong = json.dumps({**bill, "components": [{"type": "nothing", "name": "x"}]})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(wrong) is not None


@pytest.mark.parametrize("service", ["earnings", "arrivals", "injection"])
def test_every_kind_of_model_has_one(service: str) -> None:
    config = load_service(service, "development")
    text = write_bill(config, IDENTITY, VERDICTS, (), {}, AT)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_it_names_every_package_that_is_installed_here(bill: dict[str, Any]) -> None:
    packages = read_lock(LOCK.read_text(encoding="utf-8"))
    wanted = {(item.name, item.version) for item in packages if item.applies}
    listed = [item for item in bill["components"] if item["type"] == "library"]
    assert {(item["name"], item["version"]) for item in listed} == wanted
    assert len(listed) == len(wanted)


def test_it_has_model_files_data_and_card(bill: dict[str, Any]) -> None:
    model = bill["metadata"]["component"]
    assert (model["type"], model["name"]) == ("machine-learning-model", "employment")
    assert model["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "f" * 64}]
    card = model["modelCard"]
    assert card["modelParameters"]["architectureFamily"] == "hist_gradient_boosting"
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {
            "type": "evaluation: auc",
            "value": "0.835",
            "confidenceInterval": {"lowerBound": "0.82", "upperBound": "0.85"},
        }
    ]
    assert card["considerations"]["technicalLimitations"] == ["evaluation: race: too few rows"]
    data = next(item for item in bill["components"] if item["type"] == "data")
    assert data["hashes"][0]["content"] == "b" * 64
    assert data["data"][0]["sensitiveData"] == ["race", "sex"]


def test_an_epoch_is_escaped_in_the_address() -> None:
    config = load_service("employment", "development")
    packages = (LockedPackage("sdk", "1769699379!11.6.0"),)
    found = json.loads(write_bill(config, IDENTITY, (), packages, {}, AT))["components"][1]
    assert found["purl"] == "pkg:pypi/sdk@1769699379%2111.6.0"
