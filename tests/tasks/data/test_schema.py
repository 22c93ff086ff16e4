"""Where table and configuration have different columns, the message has the command to type."""

from pathlib import Path

import pyarrow as pa
import pytest

from sluice.adapters.tables.delta import append_batch
from sluice.adapters.tables.evolution import lock_table
from sluice.config.loading import load_service
from sluice.data.batches.arrival import Delivery
from sluice.data.evolution import SchemaChange
from sluice.data.schema import arrow_schema
from sluice.errors import DataInvalid, SchemaDiffers
from sluice.home import find_home
from tasks.data.schema import advise_change, check_table

CONFIG = load_service("employment", "development")
SCHEMA = arrow_schema(CONFIG.data)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))


def store(schema: pa.Schema) -> Path:
    uri = find_home().table("employment")
    cells = {field.name: pa.nulls(1, field.type) for field in schema}
    append_batch(uri, pa.table({**cells, "person_id": pa.array([1])}), {}, "person_id")
    return uri


def test_a_table_as_configured_is_right() -> None:
    check_table(CONFIG)
    store(SCHEMA)
    check_table(CONFIG)


@pytest.mark.parametrize(
    ("schema", "command"),
    [
        (SCHEMA.remove(SCHEMA.get_field_index("age")), "add age integer"),
        (SCHEMA.append(pa.field("extra", pa.float64())), "drop extra"),
        (
            pa.schema([*(field for field in SCHEMA if field.name != "age"), ("age", pa.bool_())]),
            "widen age integer",
        ),
    ],
)
def test_a_configuration_that_was_edited_by_hand_is_refused_with_the_command(
    schema: pa.Schema, command: str
) -> None:
    store(schema)
    typed = f"`sluice schema employment {command} --by NAME --reason WORDS`"
    with pytest.raises(DataInvalid, match="in the configuration; next: ") as caught:
        check_table(CONFIG)
    assert typed in str(caught.value)


def test_a_command_that_was_killed_is_named_again() -> None:
    uri = store(SCHEMA)
    with lock_table(uri, "employment") as table:
        table.apply(SchemaChange("rename", "age", name="years old"), {})
    with pytest.raises(DataInvalid, match="schema employment rename age 'years old' --by"):
        check_table(CONFIG)


@pytest.mark.parametrize(
    ("delivery", "changes", "command"),
    [
        (Delivery("files", "/drop/a b.csv"), ("add extra",), "add extra --from '/drop/a b.csv' --"),
        (Delivery("sql", "SHOP"), ("add extra",), "add extra KIND --by"),
        (Delivery("delta", "/lake"), ("add extra number",), "add extra number --by"),
        (Delivery("files", "/a.csv"), ("rename x y",), "rename x y --by"),
    ],
)
def test_a_refused_delivery_is_told_how_to_be_let_in(
    delivery: Delivery, changes: tuple[str, ...], command: str
) -> None:
    told = advise_change(CONFIG, delivery, SchemaDiffers("found").give_way(*changes))
    assert f"`sluice schema employment {command}" in str(told)


@pytest.mark.parametrize(
    "change", ["widen person_id number", "drop person_id", "drop employed", "widen employed number"]
)
def test_no_command_is_named_that_would_be_refused(change: str) -> None:
    delivery = Delivery("files", "/a.csv")
    told = str(advise_change(CONFIG, delivery, SchemaDiffers("found").give_way(change)))
    assert "sluice schema" not in told
    assert "next: correct it at its source" in told
    both = SchemaDiffers("found").give_way(change, "rename x y")
    assert change not in str(advise_change(CONFIG, delivery, both))
