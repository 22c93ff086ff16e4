"""Whether a machine is fit for a release, judged on given facts."""

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

LEAST_DISK = 2 * 1024**3
"""Bytes that the state folder of a few dozen releases needs."""
NAMED_AT_MOST = 3


@dataclass(frozen=True)
class MachineFinding:
    """One examined item: what was found, what is required, and what to do if it is not ok."""

    name: str
    ok: bool
    found: str
    wanted: str
    advice: str = ""


@dataclass(frozen=True)
class LockedPackage:
    """One line of the lock: a package, its exact version, and its environment marker."""

    name: str
    version: str
    marker: str = ""

    @property
    def applies(self) -> bool:
        """Whether the line applies to this Python and this platform."""
        return not self.marker or Marker(self.marker).evaluate()


def judge_python(version: str, wanted: str) -> MachineFinding:
    """Judge the interpreter's version against a specifier such as `>=3.11`."""
    return MachineFinding(
        "Python", Version(version) in SpecifierSet(wanted), version, wanted, "run `make install`"
    )


def judge_disk(free: int) -> MachineFinding:
    """Judge the free bytes of the disk that holds the state folder."""
    wanted = f"{LEAST_DISK / 1024**3:.0f} GiB"
    advice = "free some, or point SLUICE_HOME at another disk"
    return MachineFinding(
        "free disk", free >= LEAST_DISK, f"{free / 1024**3:.1f} GiB", wanted, advice
    )


def judge_port(port: int, purpose: str, user: str) -> MachineFinding:
    """Report which program uses a port (empty: none); a taken port is skipped, so it is ok."""
    advice = "nothing: the next free port is taken instead" if user else ""
    return MachineFinding(f"port {port}", True, user or "free", f"free, for {purpose}", advice)


def judge_package(name: str, installed: str, wanted: str) -> MachineFinding:
    """Judge an installed version, empty if there is none, against a specifier; empty: any."""
    ok = bool(installed) and SpecifierSet(wanted).contains(installed, prereleases=True)
    advice = "run `make install`; other versions are known to break"
    return MachineFinding(name, ok, installed or "not installed", wanted or "any", advice)


def judge_git(version: str) -> MachineFinding:
    """Judge whether git is installed; without it no release can name its code."""
    advice = "install git: without it a release cannot name the code that made it"
    return MachineFinding("git", bool(version), version or "not found", "any", advice)


def judge_home(folder: str, problem: str) -> MachineFinding:
    """Judge whether the state folder can be written; `problem` is empty if it can."""
    advice = "get write permission there, or set SLUICE_HOME"
    return MachineFinding("state folder", not problem, problem or folder, "writable", advice)


def judge_lock(locked: tuple[LockedPackage, ...], installed: Mapping[str, str]) -> MachineFinding:
    """Judge whether the installed packages are those of the lock, by normalised name."""
    applying = [package for package in locked if package.applies]
    wrong = [
        f"{package.name} {installed.get(package.name, 'missing')} for {package.version}"
        for package in applying
        if installed.get(package.name) != package.version
    ]
    named = ", ".join(wrong[:NAMED_AT_MOST])
    more = f" and {len(wrong) - NAMED_AT_MOST} more" if len(wrong) > NAMED_AT_MOST else ""
    found = f"{named}{more}" if wrong else f"{len(applying)} packages as locked"
    if not applying:
        found = "no lock was read"
    ok = bool(applying) and not wrong
    return MachineFinding(
        "installed packages", ok, found, "requirements.lock", "run `make install`"
    )


def read_lock(text: str) -> tuple[LockedPackage, ...]:
    """Return a lock's `name==version ; marker` lines; skip hashes and comments."""
    packages = []
    for line in text.splitlines():
        entry = line.rstrip("\\ ").strip()
        if "==" not in entry or line[:1].isspace() or entry.startswith(("#", "-")):
            continue
        requirement, _, marker = entry.partition(";")
        name, _, version = requirement.partition("==")
        packages.append(LockedPackage(normalise_name(name), version.strip(), marker.strip()))
    return tuple(packages)


def normalise_name(name: str) -> str:
    """Return a package's normalised name (PEP 503), without extras."""
    plain = name.partition("[")[0].strip().lower()
    return "-".join(part for part in plain.replace("_", "-").replace(".", "-").split("-") if part)
