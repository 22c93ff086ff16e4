"""A quick choice of the model, for tests of what `init` decides besides it."""

import pytest

from sluice.profile.trial import candidates


@pytest.fixture
def two_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial compares a linear model and scikit-learn's defaults only."""
    monkeypatch.setattr(candidates, "CANDIDATES", candidates.CANDIDATES[:2])
