"""The gateway, `sluice serve`: python -m serving [--port N] [--workers N] [--replica NAME]."""

import argparse
import logging
import re
import sys

from serving.process.supervisor import SupervisorOptions, supervise
from sluice.adapters.security.signatures import open_signatures
from sluice.adapters.storage import close_state
from sluice.adapters.telemetry.log_output import start_log
from sluice.adapters.telemetry.tracing import find_tracer
from sluice.config.loading import load_gateway
from sluice.config.serving import GatewayConfig
from sluice.errors import ConfigInvalid, Refused, SluiceError
from sluice.home import environment_name, find_home

LOG = logging.getLogger("sluice.gateway")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
RESERVED = ("models",)


def read_settings(arguments: argparse.Namespace) -> GatewayConfig:
    """Return the settings of the files, overridden by those of the command line.

    Raises:
        ConfigInvalid: a value is not allowed.
    """
    config = load_gateway(environment_name())
    options = {name: getattr(arguments, name) for name in ("host", "port", "workers")}
    values = {name: value for name, value in options.items() if value is not None}
    try:
        return GatewayConfig.model_validate({**config.model_dump(), **values})
    except ValueError as error:
        raise ConfigInvalid(f"port: 1 to 65535, workers: 1 to 256; found {values}") from error


def read_options(arguments: argparse.Namespace) -> SupervisorOptions:
    """Return the name of the replica and the parts that it runs.

    Raises:
        ConfigInvalid: the name is not allowed.
    """
    name = arguments.replica
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigInvalid(f"--replica: found {name!r}; allowed: a-z, 0-9 and -, not 'models'")
    return SupervisorOptions(name, not arguments.no_fetcher, not arguments.no_log_writer)


def main() -> int:
    """Run a replica; exit code 2: bad input, 3: infrastructure error."""
    parser = argparse.ArgumentParser(prog="serving", description="One replica of the gateway.")
    parser.add_argument("--host", help="address to listen at")
    parser.add_argument("--port", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument(
        "--replica", default=SupervisorOptions.replica, help="name, unique on the machine"
    )
    parser.add_argument("--no-fetcher", action="store_true", help="another replica has one")
    parser.add_argument("--no-log-writer", action="store_true", help="one runs elsewhere")
    arguments = parser.parse_args()
    close_state(find_home().root)
    try:
        start_log("gateway")
        open_signatures(find_home())  # a rule that is wrong is told before a worker starts
        find_tracer()  # an environment that is wrong is told before a worker starts
        supervise(find_home(), read_settings(arguments), read_options(arguments))
    except (SluiceError, OSError) as error:
        LOG.error("%s: %s", type(error).__name__, error)
        return 2 if isinstance(error, Refused) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
