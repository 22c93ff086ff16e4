"""Options that an address gives reach the server, and never undo ours."""

import pytest
from sqlalchemy import make_url

from sluice.adapters.postgres import join_options


@pytest.mark.parametrize(
    ("query", "joined"),
    [
        ("", "-c a=1"),
        ("?options=-csearch_path%3Dteam", "-csearch_path=team -c a=1"),
        ("?options=-cx%3D2&options=-ca%3D2", "-cx=2 -ca=2 -c a=1"),
        ("?sslmode=require", "-c a=1"),
    ],
)
def test_the_options_of_the_address_come_first(query: str, joined: str) -> None:
    assert join_options(make_url(f"postgresql://u@h/d{query}"), "-c a=1") == joined
