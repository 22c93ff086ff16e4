"""A binary service with simulated people, and its reference."""

import pytest

from sluice.config.service import ServiceConfig
from sluice.drift.performance.reference import PerformanceReference, build_reference
from support.people import draw_people
from support.releases.services import make_quick


@pytest.fixture(scope="session")
def config() -> ServiceConfig:
    """The default service, with slices and groups by sex."""
    quick = make_quick()
    slices = quick.evaluation.slices.model_copy(update={"columns": ("sex",)})
    return quick.model_copy(
        update={
            "evaluation": quick.evaluation.model_copy(update={"slices": slices}),
            "bias": quick.bias.model_copy(update={"sensitive": ("sex",)}),
        }
    )


@pytest.fixture(scope="session")
def reference(config: ServiceConfig) -> PerformanceReference:
    """The service's performance on 4,000 held-out rows."""
    return build_reference(config, *draw_people(4_000, 0))
