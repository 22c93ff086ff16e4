"""An ONNX export that predicts otherwise never serves: it halts, or the native model serves."""

from dataclasses import replace
from typing import Any

import pytest

from sluice.adapters.registry.client import open_registry
from sluice.config.loading import load_service
from sluice.errors import RegistryUnavailable
from sluice.home import Home
from support.releases.runs import artifacts_of, gate_runs_of

pytestmark = pytest.mark.slow


def shift_threshold(pipeline: Any, data: Any) -> Any:
    """Build the ONNX export of a model with another decision threshold."""
    from sluice.models.export.onnx_export import build_onnx_export

    export = build_onnx_export(pipeline, data)
    return replace(export, postprocessing=replace(export.postprocessing, threshold=0.52))


def release_with(monkeypatch: pytest.MonkeyPatch, serving: str) -> Any:
    """Release with an export that predicts otherwise, and this `serving`."""
    from flows.release import release

    config = load_service("employment", "development").model_copy(update={"serving": serving})
    monkeypatch.setattr("flows.release.load_service", lambda *_: config)
    monkeypatch.setattr("tasks.release.export.build_onnx_export", shift_threshold)
    return release("employment", return_state=True)


def test_disagreement_halts_and_registers_nothing(
    stocked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = release_with(monkeypatch, "onnx")
    assert state.message.startswith("ServingDiffers: ")
    assert "labels of the ONNX export flip, limit 0, n 7,182" in state.message
    assert gate_runs_of(state)["parity"].run_count == 1
    assert open_registry(stocked).find_alias("employment", "candidate") is None


def test_disagreement_lets_the_native_model_serve(
    stocked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = release_with(monkeypatch, "auto")
    assert state.is_completed(), state.message
    assert "RED LINE" in artifacts_of(state)["employment-verdict-parity"].data
    registry = open_registry(stocked)
    found = registry.find_alias("employment", "candidate")
    assert found is not None
    assert found.tags["sluice.serving.form"] == "sklearn"
    assert found.tags["sluice.verdict.parity"] == "pass"
    with pytest.raises(RegistryUnavailable, match="cannot fetch serving of"):
        registry.load_export(found)
    assert registry.promote("employment")[1].version == found.version
