"""Commands about what has changed since a release: drift, profile."""

import json
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.arguments import check_service, is_prompt
from cli.options import AsJson, ReferenceName, Service, check_version
from cli.output import EXIT_GATE, report_waiting, say, show_rows
from cli.runs import open_terminal
from sluice.errors import ConfigInvalid, DataUnavailable
from sluice.report.visible import clean

if TYPE_CHECKING:
    from sluice.config.service import ServiceConfig
    from sluice.drift.live.report import DriftReport
    from sluice.drift.live.requests import DriftRequest
    from tasks.drift.files import FileRows

PANEL = "Show"
SHOWN = 20
"""How many columns are printed; the report has all."""
COLUMNS = ("column", "finding", "severity", "JS", "PSI", "p", "nulls", "importance")
PROFILED = {
    "new": "it had none, and has this one now",
    "equal": "it is the one that the version has",
    "other": "the version had another one, which it replaces",
    "damaged": "the version had one that could not be read, which it replaces",
}
"""What a version had before its profile was built."""
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def drift(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    service: Service,
    window: Annotated[
        str, typer.Option(help="A length up to now such as '6 h', or START..END (UTC).")
    ] = "",
    reference: Annotated[
        ReferenceName | None, typer.Option(help="What it is compared with; else as configured.")
    ] = None,
    file: Annotated[
        str, typer.Option(help="Compare a Parquet file, a folder of them or a Delta table.")
    ] = "",
    version: Annotated[
        int, typer.Option(help="Version of the model; -1: the one at work.", callback=check_version)
    ] = -1,
    report: Annotated[str, typer.Option(help="Write the whole report as HTML.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what live traffic, or a file, has that training did not; exit 1 where drift is found.

    The inputs of a prompt are compared with those of the seven days before.
    """
    from sluice.drift.live.requests import DriftRequest

    request = DriftRequest(window, reference or "", file)
    if is_prompt(service):
        found = _examine_prompt(service, request, version)
    else:
        found = _examine_service(service, request, version)
    if report:
        write_report(found, Path(report))
    if as_json:
        say(json.dumps(found.to_dict(), allow_nan=False))
    else:
        show_report(found, report)
    sys.exit(EXIT_GATE if found.outcome == "alarm" else 0)


def _examine_service(service: str, request: "DriftRequest", version: int) -> "DriftReport":
    config = check_service(service)
    from tasks.drift.examination import examine_request

    with report_waiting(f"comparing the rows of {service}"):
        rows = _read_scaled(config, request, version)
        return examine_request(config, request, version, rows).report


def _examine_prompt(prompt: str, request: "DriftRequest", version: int) -> "DriftReport":
    """Return the report of a prompt's inputs, by default of the last whole day (UTC).

    Raises:
        ConfigInvalid: an option is not for prompts, or the window is not readable.
        Fault: the control store or the traffic log cannot be reached.
    """
    options = {
        "--reference": request.reference,
        "--file": request.file,
        "--version": "" if version < 0 else str(version),
    }
    for option, found in options.items():
        if found:
            raise ConfigInvalid(
                f"{option}: found {found!r}; '{prompt}' is a prompt, whose inputs are compared "
                f"with the seven days before; allowed: --window, --report and --json; next: "
                f"sluice drift {prompt}"
            )
    from sluice.config.monitoring.drift import DriftConfig
    from sluice.drift.live.requests import read_window
    from tasks.prompts.live.drifting import examine_inputs, find_last_day

    now = datetime.now(UTC)
    asked = read_window(request.window, DriftConfig(), now) if request.window.strip() else None
    with report_waiting(f"comparing the inputs of {prompt}"):
        return examine_inputs(prompt, asked or find_last_day(now))


def _read_scaled(
    config: "ServiceConfig", request: "DriftRequest", version: int
) -> "FileRows | None":
    """Read a file in the processes that `SLUICE_SCALE` sets; None where it sets only this one.

    What the server and the processes report goes to stderr: stdout is for the findings.
    """
    from tasks.run.mapping import map_parts, read_scale

    if not request.file or read_scale().is_here:
        return None
    from tasks.drift.examination import open_request
    from tasks.drift.files import read_file

    with redirect_stdout(sys.stderr), open_terminal(config.service):
        return read_file(open_request(config, request, version), map_parts)


def write_report(found: "DriftReport", path: Path) -> None:
    """Write a report as one HTML file.

    Raises:
        DataUnavailable: the file cannot be written.
    """
    from sluice.report.drift.page import write_page

    try:
        path.write_text(write_page(found), encoding="utf-8")
    except OSError as error:
        raise DataUnavailable(
            f"--report: {path} cannot be written: {error.strerror}; next: name another file"
        ) from error


def show_report(found: "DriftReport", written: str = "") -> None:
    """Print a report: what moved, where, by how much, and what to do."""
    from sluice.drift.live.report import summarise
    from sluice.report.drift import rows

    say(f"{rows.write_headline(found)}: {found.service}")
    say(clean(summarise(found)))
    kinds = [rows.describe_kind(one, found) for one in found.kinds]
    show_rows("Kinds of drift", [_clean(row) for row in kinds], ("kind", "this window", "what"))
    columns = [
        rows.describe_column(one.found)
        for kind, part in found.columns.items()
        if kind != "upstream"
        for one in part
        if one.found.alarm or (one.found.scores and found.outcome != "alarm")
    ]
    if columns:
        shown = [_clean(row) for row in columns[:SHOWN]]
        ranked = "drift" if found.is_of_prompt else "drift x importance"
        show_rows(f"Columns, by {ranked}", shown, COLUMNS[:-2] if found.is_of_prompt else COLUMNS)
    moved = [_clean(rows.describe_slice(one)) for one in found.slices if one.alarmed]
    if moved:
        show_rows("By slice", moved[:SHOWN])
    _say_rest(found)
    if written:
        say(f"the whole report: {written}")


def _say_rest(found: "DriftReport") -> None:
    from sluice.report.drift import rows

    for one in found.columns.get("upstream", ())[:SHOWN]:
        if notes := rows.describe_notes(one.found):
            say(clean(f"{one.found.column}: {notes}"))
    if joint := rows.describe_joint(found):
        say(clean(joint))
    if found.performance is not None:
        for name, words in rows.describe_performance(found.performance):
            say(f"{name}: {words}")
    for name, number in found.unknown:
        say(clean(f"column {name} is not known to the release: {number:,} rows"))
    for note in found.notes:
        say(clean(note))
    for step in rows.advise(found):
        say(f"next: {step}")


def _clean(row: dict[str, str]) -> dict[str, str]:
    return {name: clean(words) for name, words in row.items()}


@commands.command(rich_help_panel=PANEL)
def profile(
    service: Service,
    version: Annotated[
        int, typer.Option(help="Version of the model; -1: the champion.", callback=check_version)
    ] = -1,
) -> None:
    """Build a version's reference profile from its own data version, for drift."""
    check_service(service)
    from tasks.drift.profiles import rebuild_profile

    with report_waiting(f"profiling the rows of {service}"):
        found = rebuild_profile(service, version)
    built = found.profile
    say(
        f"{service} v{found.version}: reference profile of data version {built.data_version}, "
        f"{built.rows:,} training rows, {len(built.columns)} distributions: "
        f"{PROFILED[found.before]}"
    )
    for name, reason in built.left_out.items():
        say(f"  {name} is not watched: {reason}")
