"""Checks of a command's arguments, before a server or anything else is started."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.errors import ConfigInvalid, DataMissing, DecisionRefused, ServiceUnknown
from sluice.home import environment_name, find_home
from sluice.prompts.listing import list_prompts

if TYPE_CHECKING:
    from sluice.config.service import ServiceConfig


def check_name(service: str) -> None:
    """Refuse a name that no configuration carries.

    Raises:
        ServiceUnknown: no configuration carries the name.
    """
    from sluice.config.loading import list_services

    _refuse_unknown(service, "service", list_services())


def check_known(service: str) -> None:
    """Refuse a name that neither a service nor a prompt has.

    Raises:
        ServiceUnknown: neither has it.
    """
    from sluice.config.loading import list_services

    _refuse_unknown(service, "service or prompt", (*list_services(), *list_prompts()))


def is_prompt(name: str) -> bool:
    """Return whether a name is that of a prompt; refuse one that no service has either.

    Raises:
        ServiceUnknown: neither a service nor a prompt has it.
    """
    check_known(name)
    return name in list_prompts()


def _refuse_unknown(name: str, noun: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ServiceUnknown(f"no {noun} '{name}'; known: {', '.join(known)}")


def check_service(service: str) -> "ServiceConfig":
    """Return a service's configuration.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: the service's configuration is not right.
    """
    from sluice.config.loading import load_service
    from sluice.metrics import check_metrics

    config = load_service(service, environment_name())
    check_metrics(config)
    return config


def check_source(service: str, source: str) -> None:
    """Refuse a file or folder that is not there; nothing, where the service has no source.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: nothing was named, and the service's configuration has no source.
        DataMissing: there is no such file or folder.
    """
    config = check_service(service)
    if not source and config.source is None:
        raise ConfigInvalid(
            f"{service}: no file was named and its configuration has no `source`; next: "
            f"sluice ingest {service} FILE, or write `source:` into its YAML"
        )
    if source and "://" not in source and not Path(source).exists():
        raise DataMissing(
            f"SOURCE: found '{source}', which does not exist; allowed: a Parquet "
            "or CSV file, or the folder or URL of a Delta table"
        )


def check_data(service: str, version: int) -> None:
    """Refuse a release of data that is not there.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: the service's configuration is not right.
        DataMissing: the service has no data yet, or not that version.
        DataUnavailable: the table cannot be reached.
    """
    check_service(service)
    from sluice.adapters.tables.delta import latest_version

    newest = latest_version(find_home().table(service), service)
    if version > newest:
        known = f"versions 0 to {newest}" if newest else "only version 0"
        raise DataMissing(f"{service}: no data version {version}; the table has {known}")


def check_policy(service: str, policy: str) -> None:
    """Refuse a rollout by a policy that is not there or not valid.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: the service's configuration or the policy is not right.
    """
    from sluice.config.loading import find_policy, load_policy
    from tasks.rollout.settings import load_rollout

    config = load_rollout(service)
    if policy:
        load_policy(policy)
    else:
        find_policy(config)


def check_decision(service: str, by: str, reason: str) -> None:
    """Refuse a decision without a name or a reason.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: the service's configuration is not right.
        DecisionRefused: name or reason are blank.
    """
    check_service(service)
    for option, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            raise DecisionRefused(f"{option}: found nothing; needed: a name and a reason")
