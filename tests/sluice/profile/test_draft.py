"""Too few rows are refused, with the effect of chance on the problem's figure."""

import pytest

from sluice.errors import DataInvalid
from sluice.profile.draft import InitOptions, assign_roles
from support.releases.runs import facts_of


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ([0, 1] * 40, "on 24 rows chance alone moves an accuracy by 0.16; bring at least 200"),
        ([n / 7 for n in range(80)], "a mean error, in shares of its own spread, by 0.34; bring"),
    ],
)
def test_eighty_rows_are_refused_with_the_effect_of_chance(target: list[float], words: str) -> None:
    columns = facts_of(row_id=list(range(80)), size=[n % 9 / 2 for n in range(80)], target=target)
    with pytest.raises(DataInvalid, match=words):
        assign_roles(columns, InitOptions("target"), "file.csv")
