"""The folder `prompts/`: which prompts there are, and all files of one, checked together."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice.config.yaml_file import find_line
from sluice.errors import PromptInvalid
from sluice.home import PROMPTS
from sluice.prompts.active import ACTIVE, ActiveVersions, read_active
from sluice.prompts.bias_set import BIAS_SET, BiasSet, check_bias_cases, read_bias_set
from sluice.prompts.cases import EVAL_SET, EvalSet, check_cases, read_eval_set
from sluice.prompts.criterion import NAME, Criterion
from sluice.prompts.limits import LIMITS, LimitsFile, check_limits, read_limits, refuse_problems
from sluice.prompts.listing import VERSION_FILE, list_prompts, list_versions
from sluice.prompts.version import PromptVersion
from sluice.prompts.yaml_section import read_section

FILES = ("vN.yaml", EVAL_SET, LIMITS, BIAS_SET, "README.md")
CheckModel = Callable[[str], str]
"""Returns in words what is wrong with a model's name, and what is allowed; empty if nothing is."""


@dataclass(frozen=True)
class Prompt:
    """All files of a prompt; `bias_set` is None where it has none."""

    name: str
    folder: Path
    versions: Mapping[int, PromptVersion]
    eval_set: EvalSet
    limits: LimitsFile
    bias_set: BiasSet | None

    def version_file(self, version: int) -> Path:
        """Return the file of a version."""
        return self.folder / f"v{version}.yaml"

    def find_version(self, version: int) -> PromptVersion:
        """Return a version.

        Raises:
            PromptInvalid: there is no such version.
        """
        require_version(self.folder, version, list(self.versions))
        return self.versions[version]


def require_version(folder: Path, version: int, known: Sequence[int]) -> None:
    """Check that a prompt has a version.

    Raises:
        PromptInvalid: it has not.
    """
    if version not in known:
        allowed = ", ".join(map(str, known))
        raise PromptInvalid(f"{folder}: found no version {version}; allowed: {allowed}")


def find_folder(name: str, root: Path = PROMPTS) -> Path:
    """Return the folder of a prompt.

    Raises:
        PromptInvalid: there is no such prompt.
    """
    known = list_prompts(root)
    if name not in known:
        allowed = ", ".join(known) or "none yet"
        raise PromptInvalid(
            f"{root}: found no prompt '{name}'; allowed: {allowed}; "
            f"next: sluice prompt new {name if re.fullmatch(NAME, name) else 'NAME'}"
        )
    if not re.fullmatch(NAME, name):
        words = "a word of a-z, 0-9, _ and - that begins with a letter"
        raise PromptInvalid(
            f"{root / name}: found a folder of this name with versions; allowed: {words}; next: "
            "rename it, or put a dot before its name"
        )
    return root / name


def load_version(
    name: str, version: int, root: Path = PROMPTS, check_model: CheckModel | None = None
) -> PromptVersion:
    """Read one version of a prompt.

    Raises:
        PromptInvalid: there is no such prompt or version, its file is not valid, or `check_model`
            knows no such model.
    """
    folder = find_folder(name, root)
    require_version(folder, version, list_versions(folder))
    path = folder / f"v{version}.yaml"
    refuse_problems(list(_find_pipes(path)))
    found = read_section(path, PromptVersion)
    for key, expected in (("name", name), ("version", version)):
        if getattr(found, key) != expected:
            where = f"{path}:{find_line(path, (key,))}: {key}"
            words = (
                f"found {getattr(found, key)!r}; allowed: {expected!r}, as the file's place says"
            )
            raise PromptInvalid(f"{where}: {words}")
    if check_model and (words := check_model(found.model)):
        raise PromptInvalid(f"{path}:{find_line(path, ('model',))}: model: {words}")
    return found


def load_prompt(name: str, root: Path = PROMPTS, check_model: CheckModel | None = None) -> Prompt:
    """Read all files of a prompt and check them against one another.

    Raises:
        PromptInvalid: a file is missing, unknown or not valid; a case does not fit a version; a
            criterion needs a threshold and has none.
    """
    folder = find_folder(name, root)
    refuse_problems(list(_find_strangers(folder)))
    versions = {
        number: load_version(name, number, root, check_model) for number in list_versions(folder)
    }
    if not (folder / EVAL_SET).exists():
        raise PromptInvalid(
            f"{folder}: found no {EVAL_SET}; next: write one case a line, such as "
            '{"input": {"text": "..."}, "expected": "..."}'
        )
    eval_set = read_eval_set(folder / EVAL_SET)
    bias_file = folder / BIAS_SET
    bias_set = read_bias_set(bias_file) if bias_file.exists() else None
    limits = read_limits(folder / LIMITS)
    for version in versions.values():
        check_cases(version, eval_set)
        if bias_set:
            check_bias_cases(version, bias_set)
    prompt = Prompt(name, folder, versions, eval_set, limits, bias_set)
    refuse_problems(check_limits(list_all_criteria(prompt), limits, folder / LIMITS))
    return prompt


def _find_pipes(path: Path) -> Iterator[str]:
    """Yield a path that is neither a file nor a folder; reading a pipe would never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        yield f"{path}: found a pipe or a device; allowed: a file"


def _find_strangers(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        yield from _find_pipes(path)
        is_known = path.name in FILES or VERSION_FILE.fullmatch(path.name)
        if not is_known and path.is_file() and not path.name.startswith("."):
            yield f"{path}: found a file that no prompt has; allowed: {', '.join(FILES)}"


def list_all_criteria(prompt: Prompt) -> Iterator[tuple[str, Criterion]]:
    """Yield every criterion of a prompt with its place: those of versions, those of cases."""
    for number, version in prompt.versions.items():
        path = prompt.version_file(number)
        for place, criterion in enumerate(version.eval_criteria):
            line = find_line(path, ("eval_criteria", place))
            yield f"{path}:{line}: eval_criteria.{place}", criterion
    shared = {item.name for version in prompt.versions.values() for item in version.eval_criteria}
    for line, case in prompt.eval_set.rows.items():
        for place, criterion in enumerate(case.per_case):
            if criterion.name not in shared:
                shared.add(criterion.name)
                yield f"{prompt.eval_set.path}:{line}: per_case.{place}", criterion


def load_active(root: Path = PROMPTS) -> ActiveVersions:
    """Read which version of each prompt is meant to be active.

    Raises:
        PromptInvalid: the file is not valid, or names a prompt or version that is not there.
    """
    path = root / ACTIVE
    active = read_active(path)
    prompts, problems = list_prompts(root), list[str]()
    for environment in ("development", "production"):
        for name, version in active.of(environment).items():
            where = f"{path}:{find_line(path, (environment, name))}: {environment}.{name}"
            if name not in prompts:
                allowed = ", ".join(prompts) or "none yet"
                problems.append(f"{where}: found no such prompt; allowed: {allowed}")
            elif version not in (known := list_versions(root / name)):
                allowed = ", ".join(map(str, known))
                problems.append(f"{where}: found version {version}; allowed: {allowed}")
    refuse_problems(problems)
    return active
