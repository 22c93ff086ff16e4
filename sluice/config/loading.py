"""Loading of the configuration of services, rollout policies, rules and the gateway."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sluice.config.monitoring.rules import MonitoringConfig, RuleBook, find_misfit
from sluice.config.policy import Policy
from sluice.config.rollout import RolloutSettings
from sluice.config.service import ServiceConfig
from sluice.config.serving import GatewayConfig
from sluice.config.yaml_file import (
    Location,
    find_shared,
    name_key,
    read_mapping,
    read_section,
    validate_values,
)
from sluice.errors import ConfigInvalid, ServiceUnknown
from sluice.home import CONFIGS

if TYPE_CHECKING:
    from sluice.monitoring.rules import ActiveRule

OVERLAYS = ("development", "production")
POLICIES = "policies"
RULES = Path("monitoring") / "rules.yaml"
"""The rules of monitoring, in a folder of configurations."""
GATEWAY_FOLDER = CONFIGS / "gateway"
SUFFIX = ".yaml"


def list_services(folder: Path = CONFIGS) -> list[str]:
    """Return the names of the services in a folder of configurations, sorted."""
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if path.stem not in OVERLAYS)


def load_service(service: str, environment: str, folder: Path = CONFIGS) -> ServiceConfig:
    """Read a service's configuration with an environment's overlay.

    Values of the overlay (`development.yaml`, `production.yaml`) replace the service's own.

    Raises:
        ServiceUnknown: no file has the name.
        ConfigInvalid: a file is not YAML, a key is unknown, a value is not allowed, or it names a
            rule of monitoring that does not exist.
    """
    path = folder / f"{service}{SUFFIX}"
    if service not in list_services(folder):
        known = ", ".join(list_services(folder)) or "none yet"
        raise ServiceUnknown(f"no service '{service}' in {folder}; known: {known}")
    _check_environment(environment)
    values = read_mapping(path)
    overlay = folder / f"{environment}{SUFFIX}"
    over = read_mapping(overlay) if overlay.exists() else {}
    config = validate_values(lay_over(values, over), path, ServiceConfig, overlay)
    if config.service != service:
        raise ConfigInvalid(
            f"{path}: service is '{config.service}', the file's name is '{service}'"
        )
    if config.monitoring.rules or config.retrain.alerts:
        check_rules(config, load_rules(folder), folder)
    return config


WATCHING = {"monitoring", "performance", "retrain", "drift"}
"""Sections of a service's file that decide nothing of a release."""


def dump_service(config: ServiceConfig) -> str:
    """Return the resolved configuration as YAML, defaults included."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def hash_service(config: ServiceConfig) -> str:
    """Return the hexadecimal sha256 of what decides a release in the resolved configuration.

    How a service is watched afterwards is no part of it: with other alerts it is the same release.
    """
    values = config.model_dump(mode="json", exclude=WATCHING)
    return hashlib.sha256(yaml.safe_dump(values, sort_keys=False).encode()).hexdigest()


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return a file's values, replaced by an overlay's values, section by section."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = lay_over(merged[key], value) if both else value
    return merged


def list_policies(folder: Path = CONFIGS) -> list[str]:
    """Return the names of the policies in a folder of configurations, sorted."""
    return sorted(path.stem for path in (folder / POLICIES).glob(f"*{SUFFIX}"))


def find_policy(service: RolloutSettings, folder: Path = CONFIGS) -> Policy:
    """Read the policy that a service names in `rollout.policy`.

    Raises:
        ConfigInvalid: there is no such policy, or it is not valid.
    """
    policy = service.rollout.policy
    if not policy.endswith(SUFFIX) and policy not in list_policies(folder):
        known = ", ".join(list_policies(folder)) or "none yet"
        words = f"found '{policy}'; allowed: {known}, or the path of a {SUFFIX} file"
        raise ConfigInvalid(
            name_key(folder / f"{service.service}{SUFFIX}", ("rollout", "policy"), words)
        )
    return load_policy(policy, folder)


def load_policy(policy: str, folder: Path = CONFIGS) -> Policy:
    """Read a policy by its name in `configs/policies`, or by the path of its file.

    Raises:
        ConfigInvalid: there is no such policy, its file is not YAML, a key is unknown, a value is
            not allowed, or a stage could never conclude.
    """
    path = Path(policy) if policy.endswith(SUFFIX) else folder / POLICIES / f"{policy}{SUFFIX}"
    if not policy.endswith(SUFFIX) and policy not in list_policies(folder):
        known = ", ".join(list_policies(folder)) or "none yet"
        raise ConfigInvalid(
            f"no policy '{policy}' in {folder / POLICIES}; known: {known}, or the path of a "
            f"{SUFFIX} file"
        )
    found = read_section(path, Policy)
    if found.policy != path.stem:
        words = f"found '{found.policy}'; allowed: the file's name, '{path.stem}'"
        raise ConfigInvalid(name_key(path, ("policy",), words))
    from sluice.rollout.evidence import find_hopeless

    hopeless = [name_key(path, location, words) for location, words in find_hopeless(found)]
    if hopeless:
        raise ConfigInvalid("\n".join(hopeless))
    return found


def load_rules(folder: Path = CONFIGS) -> RuleBook:
    """Read the rules of monitoring; a folder without rules has those of the project.

    Raises:
        ConfigInvalid: the file is not YAML, a key is unknown, a value is not allowed.
    """
    return read_section(find_rules_file(folder), RuleBook)


def find_rules_file(folder: Path = CONFIGS) -> Path:
    """Return the file of the rules that hold in a folder of configurations."""
    return find_shared(RULES, folder)


def find_rules(service: ServiceConfig, folder: Path = CONFIGS) -> "dict[str, ActiveRule]":
    """Return the rules that are judged for a service, with its own changes and its limits.

    The commands in their runbooks name the service.

    Raises:
        ConfigInvalid: the rules are not valid, or the service changes one in a way that is not.
    """
    from sluice.monitoring.rules import list_active

    book = load_rules(folder)
    check_rules(service, book, folder)
    named = {name: rule.name_service(service.service) for name, rule in book.rules.items()}
    return list_active(book.model_copy(update={"rules": named}), service.monitoring)


def check_rules(service: ServiceConfig, book: RuleBook, folder: Path = CONFIGS) -> None:
    """Check that a service names only rules that exist, and changes them in a way that fits.

    Raises:
        ConfigInvalid: it names an unknown rule, limits a rule on its other side or where it could
            never fire or hold, or waits for the alert of a rule that is not judged.
    """
    path = folder / f"{service.service}{SUFFIX}"
    check_changes(service.monitoring, book, path, ("monitoring",), folder)
    _check_alerts(service, book, path)


def check_changes(
    config: MonitoringConfig, book: RuleBook, path: Path, place: Location, folder: Path
) -> None:
    """Check that the section at a place of a file changes rules that exist, in ways that fit.

    Raises:
        ConfigInvalid: it names an unknown rule, or limits one on its other side or where it could
            never fire or hold.
    """
    for name, change in config.rules.items():
        rule, where = book.rules.get(name), (*place, "rules", name)
        if rule is None:
            words = (
                f"no rule '{name}' in {find_rules_file(folder)}; allowed: {', '.join(book.rules)}"
            )
            raise ConfigInvalid(name_key(path, where, words))
        given, kept = ("above", "below") if rule.above is None else ("below", "above")
        if getattr(change, given) is not None:
            words = f"found a limit {given}; allowed: {kept}, as the rule has it"
            raise ConfigInvalid(name_key(path, (*where, given), words))
        if misfit := find_misfit(rule.merge(change)):
            raise ConfigInvalid(name_key(path, (*where, misfit[0]), misfit[1]))


def _check_alerts(service: ServiceConfig, book: RuleBook, path: Path) -> None:
    """Check that the rules whose alerts start a retraining can raise one.

    Raises:
        ConfigInvalid: one does not exist, is switched off, or lacks its limit.
    """
    from sluice.monitoring.rules import list_active

    if not service.retrain.alerts:
        return
    active = list_active(book, service.monitoring)
    judged = ", ".join(name for name, rule in active.items() if rule.limit is not None)
    for place, name in enumerate(service.retrain.alerts):
        words = ""
        if name not in active:
            why = "which is not judged for it" if name in book.rules else "which does not exist"
            words = f"found '{name}', {why}; allowed: {judged}"
        elif active[name].limit is None:
            words = f"found '{name}', which cannot fire: {active[name].missing}; allowed: {judged}"
        if words:
            raise ConfigInvalid(name_key(path, ("retrain", "alerts", place), words))


def load_gateway(environment: str, folder: Path = GATEWAY_FOLDER) -> GatewayConfig:
    """Read the gateway's settings; a setting that no file has keeps its default.

    Raises:
        ConfigInvalid: a file is not YAML, a key is unknown, a value is not allowed.
    """
    _check_environment(environment)
    path, overlay = folder / f"gateway{SUFFIX}", folder / f"{environment}{SUFFIX}"
    values = [read_mapping(file) if file.exists() else {} for file in (path, overlay)]
    file = path if path.exists() else overlay
    return validate_values(lay_over(*values), file, GatewayConfig, overlay)


def _check_environment(environment: str) -> None:
    if environment not in OVERLAYS:
        raise ConfigInvalid(
            f"environment '{environment}' is unknown; allowed: {', '.join(OVERLAYS)}"
        )
