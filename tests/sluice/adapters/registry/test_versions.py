"""The description of a registered version."""

from sluice.adapters.registry.versions import CUT, DESCRIPTION_LENGTH, fit_description

LINES = "\n".join(f"| check {number} | pass |" for number in range(1_000))


def test_length_is_that_of_mlflows_own_schema() -> None:
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion

    assert SqlModelVersion.__table__.columns["description"].type.length == DESCRIPTION_LENGTH


def test_description_that_fits_is_not_changed() -> None:
    assert fit_description(LINES[:DESCRIPTION_LENGTH]) == LINES[:DESCRIPTION_LENGTH]


def test_long_description_is_truncated_after_a_whole_line() -> None:
    cut = fit_description(LINES)
    assert DESCRIPTION_LENGTH - 30 < len(cut) <= DESCRIPTION_LENGTH
    assert cut.endswith(CUT)
    assert set(cut.removesuffix(CUT).splitlines()) <= set(LINES.splitlines())


def test_long_line_is_truncated_within_the_line() -> None:
    assert len(fit_description("x" * 2 * DESCRIPTION_LENGTH)) == DESCRIPTION_LENGTH
