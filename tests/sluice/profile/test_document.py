"""What a new service's YAML offers: cross-validation where rows are few."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from sluice.profile.document import write_document
from sluice.profile.draft import InitOptions, assign_roles, draft_service
from support.releases.runs import facts_of


@pytest.mark.parametrize(("rows", "offered"), [(600, True), (2_100, False)])
def test_few_rows_are_offered_cross_validation(rows: int, offered: bool) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=rows).round(3)
    frame = pd.DataFrame(
        {"row_id": np.arange(rows), "x": x, "y": np.where(x + random.normal(size=rows) > 0, 1, 0)}
    )
    columns = facts_of(**{name: frame[name].tolist() for name in frame})
    roles = assign_roles(columns, InitOptions("y", id="row_id"), "file.csv")
    roles = replace(roles, reason="made up")
    text = write_document(draft_service("small", "file.csv", frame, columns, roles))
    assert ("cross-validation" in text) is offered
    assert yaml.safe_load(text)["split"].get("folds", 0) == 0
