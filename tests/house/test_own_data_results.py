"""The page of the results on public data shows the figures of the benchmark."""

from benchmarks.own_data.catalog import PublicData, read_catalog
from benchmarks.own_data.table import BEGIN, END, PAGE, make_tables


def test_the_page_has_the_figures_of_the_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0].strip() == make_tables()


def test_a_column_that_was_not_written_down_is_found() -> None:
    answers = {"sensitive": "sex,race"}
    data = PublicData("people", "People", "none", "none", "paid", answers, {"row_id": "the id"})
    columns = ("row_id", "sex", "race", "age", "seniority", "paid")
    assert data.find_undeclared(columns, ("age",)) == ["seniority"]


def test_every_data_set_says_why_a_column_may_be_left_out() -> None:
    catalog = read_catalog()
    assert len({data.package for data in catalog}) >= 5
    assert len(catalog) >= 14
    assert [data.name for data in catalog if not all(data.may_be_left_out.values())] == []
