"""The command `ingest`; its options on how a file is read are tried, then kept in the YAML."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.arguments import check_source
from cli.options import Decimal, Delimiter, Encoding, Service
from cli.output import say
from cli.runs import open_terminal, run_ingest
from sluice.errors import ChoiceNeeded
from sluice.home import CONFIGS, environment_name

commands = typer.Typer()


@commands.command(rich_help_panel="Data")
def ingest(
    service: Service,
    source: Annotated[
        str, typer.Argument(help="Parquet, CSV or Delta table; the configured source if left out.")
    ] = "",
    delimiter: Delimiter = "",
    encoding: Encoding = "",
    decimal: Decimal = "",
) -> None:
    """Append new rows as a version of a service's data, through the data gate."""
    check_source(service, source)
    keep_reading(service, source, delimiter=delimiter, encoding=encoding, decimal=decimal)
    with open_terminal(service):
        sys.exit(run_ingest(service, source).code)


def keep_reading(service: str, source: str, **options: str) -> None:
    """Keep the options that are given in the service's YAML, if the file can be read by them.

    Raises:
        ChoiceNeeded: an option is not allowed, or names how no file is read.
        DataInvalid: the file cannot be read so; the YAML is unchanged.
        ConfigInvalid: the YAML cannot be changed by a command.
        Fault: the file cannot be read, or the YAML not be written.
    """
    changes = {key: value for key, value in options.items() if value}
    if not changes:
        return
    from sluice.adapters.storage import PUBLIC, explain_os_error, write_whole
    from sluice.adapters.tables.files import read_rows
    from sluice.config.loading import load_service
    from sluice.config.reading_text import change_reading, set_reading

    if not source or not Path(source).is_file():
        given = ", ".join(f"--{key}" for key in changes)
        raise ChoiceNeeded(f"{given}: found no file to read so; allowed: with the path of a file")
    data = load_service(service, environment_name()).data
    reading = change_reading(data.reading, changes)
    read_rows(Path(source).resolve(), data.model_copy(update={"reading": reading}))
    if reading == data.reading:
        return
    path = CONFIGS / f"{service}.yaml"
    text = set_reading(path, path.read_text(encoding="utf-8"), reading, data.reading)
    try:
        write_whole({path: text}, PUBLIC)
    except OSError as error:
        raise explain_os_error(error, str(path)) from error
    shown = ", ".join(f"{key} {getattr(reading, key)!r}" for key in changes)
    say(f"kept       data.reading in {path}: {shown}")
