"""A policy is read by name or path; a bad one is refused with file, line and what is allowed."""

from pathlib import Path

import pytest

from sluice.config.loading import find_policy, list_policies, load_policy, load_service
from sluice.config.policy import hash_policy
from sluice.config.rollout import RolloutConfig
from sluice.errors import ConfigInvalid
from sluice.home import CONFIGS

STANDARD = (CONFIGS / "policies" / "standard.yaml").read_text(encoding="utf-8")
BAD = {
    "a stage that goes down": (
        "weight: 0.25",
        "weight: 0.04",
        "mine.yaml:LINE: stages.2.weight: found 0.04; allowed: above the stage before (0.05)",
    ),
    "min above max": (
        "min: 2 h",
        "min: 5 h",
        "mine.yaml:LINE: stages.1.min: found 18000 s; allowed: above 0, below max",
    ),
    "an unknown rule": (
        "  guardrail:",
        "  guardrails:",
        "mine.yaml:LINE: rules.guardrails: unknown key (did you mean `guardrail`?); allowed: ",
    ),
    "an unknown pass rule": (
        "passes: [latency_margin]",
        "passes: [speed]",
        "mine.yaml:LINE: stages.2.passes.0: Input should be 'error_margin', ",
    ),
    "alpha of 0": (
        "alpha: 0.001}",
        "alpha: 0}",
        "mine.yaml:LINE: rules.error_rate.alpha: Input should be greater than 0; found 0",
    ),
    "no duration": ("soak: 1 h", "soak: soon", "mine.yaml:LINE: soak: found 'soon'; allowed: "),
    "no count of pass_alpha": (
        "pass_alpha: 0.05",
        "pass_alpha: yes",
        "mine.yaml:LINE: pass_alpha: ",
    ),
    "a stage too short at any traffic": (
        "margin: 0.005",
        "margin: 0.0000001",
        "error_margin cannot be passed by max, not even at 10,000 requests/s; next: ",
    ),
    "a margin above the cap": (
        "business: none ",
        "business: {metric: paid, cap: 1, margin: 2} ",
        "mine.yaml:LINE: rules.business.margin: found 2; allowed: below cap (1)",
    ),
    "a business metric that is none": (
        "business: none ",
        "business: paid ",
        "mine.yaml:LINE: rules.business: Input should be 'none'; found 'paid'",
    ),
    "another name than the file's": (
        "policy: mine",
        "policy: yours",
        "mine.yaml:LINE: policy: found 'yours'; allowed: the file's name, 'mine'",
    ),
    "a key given twice": ("soak: 1 h", "soak: 1 h\nblock: 1 s", "key 'block' is given twice"),
}


def write(folder: Path, old: str = "", new: str = "") -> Path:
    text = STANDARD.replace("policy: standard", "policy: mine")
    assert old in text
    path = folder / "mine.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_policy_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    old, new, words = BAD[name]
    path = write(tmp_path, old, new)
    text = path.read_text(encoding="utf-8")
    line = text[: text.index(new)].count("\n") + 1
    with pytest.raises(ConfigInvalid) as refused:
        load_policy(str(path))
    assert words.replace("LINE", str(line)) in str(refused.value)


def test_limit_that_no_candidate_can_pass_is_refused_at_its_stage(tmp_path: Path) -> None:
    path = write(tmp_path, "business: none ", "business: {metric: paid, cap: 10, margin: 9.9} ")
    text = path.read_text(encoding="utf-8").replace(
        "passes: [error_margin, latency_margin]", "passes: [business]"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigInvalid, match=r"stages.3.passes: business cannot be passed: its lim"):
        load_policy(str(path))


def test_every_policy_of_the_project_is_sound() -> None:
    assert list_policies() == ["laptop", "prompts", "smoke", "standard"]
    assert [load_policy(name).policy for name in list_policies()] == list_policies()


def test_unknown_policy_names_the_known() -> None:
    with pytest.raises(
        ConfigInvalid, match=r"no policy 'fast'.*known: laptop, prompts, smoke, standard"
    ):
        load_policy("fast")


def test_service_names_its_policy() -> None:
    config = load_service("employment", "development")
    assert find_policy(config) == load_policy("standard")
    other = config.model_copy(update={"rollout": RolloutConfig(policy="laptop")})
    assert find_policy(other) == load_policy("laptop")


def test_missing_policy_of_a_service_is_refused() -> None:
    config = load_service("employment", "development")
    lost = config.model_copy(update={"rollout": RolloutConfig(policy="fast")})
    with pytest.raises(ConfigInvalid) as refused:
        find_policy(lost)
    known = "laptop, prompts, smoke, standard"
    words = f"rollout.policy: found 'fast'; allowed: {known}, or the path of a .yaml file"
    assert str(refused.value).endswith(words)


def test_hash_changes_with_a_limit_and_not_with_words(tmp_path: Path) -> None:
    same = load_policy(str(write(tmp_path)))
    reworded = load_policy(str(write(tmp_path, "Shadow, 5", "From shadow to 5")))
    wider = load_policy(str(write(tmp_path, "margin: 0.005", "margin: 0.006")))
    assert hash_policy(same) == hash_policy(reworded) != hash_policy(wider)
