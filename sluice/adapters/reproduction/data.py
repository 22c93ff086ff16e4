"""Whether the files of a data version are all there: vacuumed ones cannot be read again."""

from pathlib import Path
from urllib.parse import unquote

from sluice.adapters.storage import translate_errors
from sluice.adapters.tables.delta import open_table
from sluice.errors import DataMissing, DataUnavailable, DataVacuumed


def require_files(uri: Path, service: str, version: int) -> None:
    """Check that every file of a data version exists, and that its log can be read.

    Raises:
        DataMissing: the table never had it, or is an older copy.
        DataVacuumed: a file was deleted, or the log no longer reaches back to the version.
        DataUnavailable: the table cannot be reached.
    """
    name = f"{service}: data version {version}"
    later = f"next: restore {uri} from a backup, or release again on the newest version"
    if not (uri / "_delta_log").is_dir():
        raise DataUnavailable(f"{uri}: the table is not there; next: mount or restore it")
    with translate_errors(uri):
        from deltalake.exceptions import DeltaError

        newest = open_table(uri).version()
        if version > newest:
            raise DataMissing(
                f"{service}: no data version {version}; the table ends at version {newest}; {later}"
            )
        try:
            opened = open_table(uri, version)
        except DeltaError as error:
            raise DataVacuumed(
                f"{name} is not in the table's log any more, which reaches to version {newest}: "
                f"its log was cleaned up; {later}"
            ) from error
        files = [Path(unquote(str(path).removeprefix("file://"))) for path in opened.file_uris()]
    gone = [path for path in files if not path.is_file()]
    if gone:
        raise DataVacuumed(
            f"{name}: {len(gone)} of its {len(files)} files were deleted, such as "
            f"{gone[0].name}: it was vacuumed; {later}"
        )
