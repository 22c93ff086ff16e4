"""Addresses that pages link to."""

import pytest

from tasks.run.links import link_rollout


def test_a_rollout_is_linked_where_its_page_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_ROLLOUT_UI", "http://127.0.0.1:8090/")
    assert link_rollout("employment") == "http://127.0.0.1:8090/services/employment"
    monkeypatch.delenv("SLUICE_ROLLOUT_UI")
    assert link_rollout("employment") == ""
