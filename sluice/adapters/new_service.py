"""The two files of a new service: its configuration and its expectation suite."""

from collections.abc import Sequence
from pathlib import Path

from sluice.adapters.storage import explain_os_error
from sluice.adapters.validation.suite_file import build_suite, dump_suite
from sluice.adapters.whole_files import write_whole
from sluice.errors import ServiceExists
from sluice.profile.rules import Rule


def list_files(service: str, configs: Path, suites: Path) -> tuple[Path, Path]:
    """Give the paths of a service's configuration and suite."""
    return configs / f"{service}.yaml", suites / "expectations" / f"{service}.json"


def check_free(service: str, configs: Path, suites: Path) -> None:
    """Refuse a name whose files are there.

    Raises:
        ServiceExists: with the files, and how to go on.
    """
    there = [str(path) for path in list_files(service, configs, suites) if path.exists()]
    if there:
        raise ServiceExists(
            f"service '{service}' has {' and '.join(there)} already: give --service another "
            "name, or --force to write them anew (what was changed by hand is lost)"
        )


def write_service(
    service: str, document: str, rules: Sequence[Rule], configs: Path, suites: Path
) -> tuple[Path, Path]:
    """Write a service's configuration and suite, both or neither, and give their paths.

    Raises:
        StorageFull: no room for them.
        DataUnavailable: a folder cannot be written.
    """
    config, suite = list_files(service, configs, suites)
    try:
        write_whole({suite: dump_suite(build_suite(service, rules)), config: document})
    except OSError as error:
        raise explain_os_error(error, f"{config} and {suite}") from error
    return config, suite
