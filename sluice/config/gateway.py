"""Reading the gateway's settings: `configs/gateway/gateway.yaml` under an environment's overlay."""

import json
from pathlib import Path

from pydantic import ValidationError

from sluice.config.explanation import explain_errors
from sluice.config.loading import OVERLAYS, lay_over
from sluice.config.serving import GatewayConfig
from sluice.config.yaml_file import read_mapping
from sluice.errors import ConfigInvalid
from sluice.home import CONFIGS

FOLDER = CONFIGS / "gateway"


def load_gateway(environment: str, folder: Path = FOLDER) -> GatewayConfig:
    """Read the gateway's settings; what no file says has its default.

    Raises:
        ConfigInvalid: a file is not YAML, a key is unknown, a value is not allowed.
    """
    if environment not in OVERLAYS:
        raise ConfigInvalid(
            f"environment '{environment}' is unknown; allowed: {', '.join(OVERLAYS)}"
        )
    path, overlay = folder / "gateway.yaml", folder / f"{environment}.yaml"
    values = [read_mapping(file) if file.exists() else {} for file in (path, overlay)]
    text = json.dumps(lay_over(*values), default=str)
    try:
        return GatewayConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        file = path if path.exists() else overlay
        raise ConfigInvalid(explain_errors(error, file, GatewayConfig, overlay)) from error
