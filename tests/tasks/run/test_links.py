"""Addresses that pages link to."""

import pytest

from tasks.run.links import link_file, link_rollout, link_run, link_version


def test_a_rollout_is_linked_where_its_page_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_STATUS_UI", "http://127.0.0.1:8090/")
    assert link_rollout("employment") == "http://127.0.0.1:8090/services/employment"
    monkeypatch.delenv("SLUICE_STATUS_UI")
    assert link_rollout("employment") == ""


def test_registry_pages_open_in_the_view_for_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the last part MLflow opens a run among evaluations of LLMs."""
    monkeypatch.setenv("SLUICE_MLFLOW_UI", "http://127.0.0.1:5000/")
    view, page = "?workflowType=machine_learning", "http://127.0.0.1:5000/#"
    assert link_run("1", "ab") == f"{page}/experiments/1/runs/ab{view}"
    assert link_version("town", 3) == f"{page}/models/town/versions/3{view}"
    card = link_file("1", "ab", "model_card.md")
    assert card == f"{page}/experiments/1/runs/ab/artifacts/model_card.md{view}"
