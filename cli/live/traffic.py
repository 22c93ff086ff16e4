"""Simulated traffic and a candidate's fault, from the options of a command."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from sluice.errors import ConfigInvalid

if TYPE_CHECKING:
    from sluice.rollout.simulation.traffic import Regression, Traffic

MINUTE = 60.0
RANGES = {"rps": (0.01, 1e6), "errors": (0.0, 0.9), "latency": (0.1, 1e6), "clustering": (0.0, 2.0)}
FAULTS = {"errors": (0.0, 0.98), "slowdown": (0.01, 1000.0)}


@dataclass(frozen=True)
class TrafficOptions:
    """What the options describe; empty and 0 leave a part out."""

    rps: float
    errors: float
    latency: float
    clustering: float = 0.0
    apart: bool = False
    users: int = 0
    balanced: bool = True
    incident: tuple[float, float, float] | None = None
    """Start and length in minutes, and the error rate of both arms."""
    drift: tuple[float, float, float] | None = None
    """Start and length in minutes, and the error rate at its end."""
    signals: Sequence[str] = ()


def describe_traffic(options: TrafficOptions) -> "Traffic":
    """Return the traffic that the options describe.

    Raises:
        ConfigInvalid: a signal is unknown, or a figure is out of its range.
    """
    from sluice.rollout.simulation.traffic import Drift, Incident, Signals, Traffic, Users

    for name, allowed in RANGES.items():
        _check(f"--{name}", getattr(options, name), allowed)
    traffic = Traffic(
        options.rps,
        options.errors,
        latency=options.latency,
        clustering=options.clustering,
        shared=not options.apart,
        signals=_read_signals(Signals(), options.signals),
    )
    if options.users:
        traffic = replace(traffic, users=Users(options.users, balanced=options.balanced))
    if options.incident:
        start, length = _minutes("--incident", options.incident)
        traffic = replace(traffic, incident=Incident(start, length, options.incident[2]))
    if options.drift:
        start, length = _minutes("--drift", options.drift)
        traffic = replace(traffic, drift=Drift(options.drift[2], start, length))
    return traffic


def describe_fault(given: Sequence[str], onset: float, default: float) -> "Regression":
    """Return the bad candidate's fault from NAME=VALUE texts; without any, `default` more errors.

    Raises:
        ConfigInvalid: a name is unknown, or a value is out of its range.
    """
    from sluice.rollout.simulation.traffic import Regression

    _check("--onset", onset, (0.0, 1e6))
    start = MINUTE * onset
    if not given:
        return Regression(default, start=start)
    values = _read_pairs("--fault", given, [item for item in _names(Regression) if item != "start"])
    for name, value in values.items():
        _check(f"--fault {name}", value, FAULTS.get(name, (0.0, 1000.0)))
    return Regression(**values, start=start)


def refuse_synthetic(options: TrafficOptions, fault: "Regression") -> None:
    """Refuse options that cannot be combined with recorded counts.

    Raises:
        ConfigInvalid: an option describes synthetic traffic, or a fault that counts do not show.
    """
    synthetic = {
        "--clustering": options.clustering,
        "--users": options.users,
        "--incident": options.incident,
        "--drift": options.drift,
        "--signal": options.signals,
    }
    for option, value in synthetic.items():
        if value:
            raise ConfigInvalid(
                f"{option} is for synthetic traffic; allowed with --traffic: --fault"
            )
    if fault != type(fault)(fault.errors, start=fault.start):
        raise ConfigInvalid("--fault: recorded counts show errors alone; allowed: errors= a number")


def name_fault(fault: "Regression") -> str:
    """Return a fault's name in a table, such as `+1 point, slowdown x1.2`."""
    words = [f"{100 * fault.errors:+.3g} points"] if fault.errors else []
    for name in ("slowdown", "guardrails", "negatives", "costs", "values"):
        if getattr(fault, name) != 1:
            words.append(f"{name} x{getattr(fault, name):g}")
    return ", ".join(words) or "no fault"


def _read_signals(defaults: Any, given: Sequence[str]) -> Any:
    values = _read_pairs("--signal", given, _names(type(defaults)))
    for name, value in values.items():
        _check(f"--signal {name}", value, (0.01, 100.0) if name == "cost_spread" else (0.0, 1.0))
    return replace(defaults, **values)


def _names(facts: type[Any]) -> list[str]:
    return [item.name for item in fields(facts)]


def _read_pairs(option: str, given: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or name not in known:
            raise ConfigInvalid(f"{option}: found '{text}'; allowed: {'=, '.join(known)}= a number")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise ConfigInvalid(f"{option} {name}: found '{value}'; allowed: a number") from error
    return found


def _minutes(option: str, found: tuple[float, float, float]) -> tuple[float, float]:
    _check(f"{option}: start", found[0], (-1e6, 1e6))
    _check(f"{option}: length", found[1], (0.01, 1e6))
    _check(f"{option}: errors", found[2], (0.0, 1.0))
    return MINUTE * found[0], MINUTE * found[1]


def _check(what: str, value: float, allowed: tuple[float, float]) -> None:
    low, high = allowed
    if not low <= value <= high:
        raise ConfigInvalid(f"{what}: found {value:g}; allowed: {low:g} to {high:g}")
