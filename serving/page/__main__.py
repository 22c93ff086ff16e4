"""The status page, `sluice page`: python -m serving.page [--host ADDRESS] [--port N]."""

import argparse
import logging
import sys

import uvicorn

from serving.http.hosts import AllowedHosts, list_hosts
from serving.http.keys import load_keys
from serving.http.transport.server import configure_server
from serving.page.app import StatusPage
from serving.page.status.files import FileReader
from sluice.adapters.addresses import name_status_page
from sluice.adapters.control.store import open_control
from sluice.adapters.storage import close_state
from sluice.adapters.telemetry.log_output import start_log
from sluice.config.loading import load_gateway
from sluice.config.serving import GatewayConfig, PageConfig
from sluice.errors import ConfigInvalid, GatewayBusy, Refused, SluiceError
from sluice.home import environment_name, find_home

LOG = logging.getLogger("sluice.page")


def read_settings(arguments: argparse.Namespace) -> GatewayConfig:
    """Return the gateway's settings, with the command line's host and port for the page.

    Raises:
        ConfigInvalid: a value is not allowed.
    """
    config = load_gateway(environment_name())
    options = {name: getattr(arguments, name) for name in ("host", "port")}
    values = {name: value for name, value in options.items() if value is not None}
    try:
        page = PageConfig.model_validate({**config.page.model_dump(), **values})
    except ValueError as error:
        raise ConfigInvalid(f"port: found {arguments.port}; allowed: 1 to 65535") from error
    return config.model_copy(update={"page": page})


def serve_page(config: GatewayConfig) -> None:
    """Serve the page until a signal stops it.

    Raises:
        ConfigInvalid: the keys cannot be read.
        ControlUnusable: the control store's address is wrong.
        GatewayBusy: another program uses the port, or the address is not this machine's.
    """
    page = config.page
    hosts = AllowedHosts(list_hosts(config, name_status_page()))
    keyring = load_keys(config.keys_file)
    home = find_home()
    app = StatusPage(open_control(home), keyring, config.limits, hosts, FileReader(home))
    settings = configure_server(app, config.limits, 2, host=page.host, port=page.port)
    app.preload()
    LOG.info("status at http://%s:%d", page.host, page.port)
    try:
        uvicorn.Server(settings).run()
    except SystemExit as error:
        address = f"{page.host}:{page.port}"
        raise GatewayBusy(f"cannot listen on {address}; next: free it, or --port NUMBER") from error
    finally:
        app.close()


def main() -> int:
    """Run the page; exit code 2 is a refusal, 3 an infrastructure error."""
    parser = argparse.ArgumentParser(prog="serving.page", description="The status page.")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on")
    arguments = parser.parse_args()
    close_state(find_home().root)
    try:
        start_log("page")
        serve_page(read_settings(arguments))
    except (SluiceError, OSError) as error:
        LOG.error("%s: %s", type(error).__name__, error)
        return 2 if isinstance(error, Refused) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
