"""The wish and the fact of a prompt: the version of `prompts/config.yaml`, the one that serves.

A change of what is wished starts one release. A mismatch that no release is about to end is told
to people; it never starts anything.
"""

from dataclasses import dataclass

PUBLISHED = "published it"
"""The outcome of a cause whose release published the version."""


def name_change(version: int, identity: str) -> str:
    """Return the name of a change: the version, with 12 digits of what its release depends on."""
    return f"v{version}, {identity[:12]}"


@dataclass(frozen=True)
class PromptWish:
    """A prompt's wished version beside the one that serves.

    `serves` is None where nothing serves. `outcome` is how the release of this change ended: None
    where none began, empty where it has not ended. `obstacle` is why no model can be asked; empty
    where one can.
    """

    prompt: str
    wished: int
    serves: int | None
    has_served: bool
    """Whether the wished version served before, or serves now."""
    outcome: str | None = None
    obstacle: str = ""
    is_on_trial: bool = False
    """Whether a rollout of the prompt is under way, which decides who serves."""

    @property
    def is_met(self) -> bool:
        """Whether the wished version serves."""
        return self.serves == self.wished

    @property
    def is_taken_off(self) -> bool:
        """Whether another version serves in the place of the wished one, which served before."""
        return self.has_served and not self.is_met

    @property
    def is_refused(self) -> bool:
        """Whether a gate halted the release of this change."""
        return bool(self.outcome) and self.outcome != PUBLISHED

    @property
    def may_start(self) -> bool:
        """Whether a change may start a release by itself, as far as it is known now."""
        return not (self.is_taken_off or self.obstacle or self.outcome)

    def explain(self) -> str:
        """Return the mismatch and what to do about it; empty where wish and fact agree."""
        if self.is_met:
            return self._explain_refusal() if self.is_refused else ""
        if self.is_on_trial:
            return ""
        serves = f"v{self.serves} serves" if self.serves else "nothing serves"
        return f"v{self.wished} is wished, {serves}{self._explain_reason()}"

    def _explain_refusal(self) -> str:
        return (
            f"v{self.wished} serves as wished, but on its cases and limits of now its release "
            f"{self.outcome}; next: mend them, or make a new version: `sluice prompt new "
            f"{self.prompt}`"
        )

    def _explain_reason(self) -> str:
        publish = f"`sluice prompt publish {self.prompt} {self.wished}`"
        if self.is_taken_off:
            return (
                f": v{self.wished} served before, and another version was put in its place; next: "
                f"wish v{self.serves} in prompts/config.yaml, or {publish}"
            )
        if self.is_refused:
            return (
                f": the release of v{self.wished} {self.outcome}; next: wish another version in "
                f"prompts/config.yaml, or make one: `sluice prompt new {self.prompt}`"
            )
        if self.outcome == PUBLISHED:
            return (
                f": v{self.wished} was published, and no rollout has promoted it; next: `sluice "
                f"rollout {self.prompt} --version {self.wished}`, or wish another version in "
                "prompts/config.yaml"
            )
        if self.outcome == "":
            return f": its release began and has not ended; next: see its run, or {publish}"
        return f": {self.obstacle}; then: {publish}" if self.obstacle else f"; next: {publish}"
