"""A hit of a guardrail: which rule, and where; never the text itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """A place in a text that a rule stops.

    `rule` is such as `email` or `aws_key`, `group` the guardrail that has it (`pii`, `secrets`,
    `profanity`, `injection`). `start` and `end` are characters of the text that the caller gave;
    where the text was decoded or joined first, they are of the whole part that was, and `reading`
    says how it was read: `plain`, `base64`, `joined lines` or `normalised`. What was found is left
    out: a hit can be logged.
    """

    group: str
    rule: str
    start: int
    end: int
    reading: str = "plain"

    def describe(self) -> str:
        """Return the hit in words, without what was found."""
        how = "" if self.reading == "plain" else f" ({self.reading})"
        return f"{self.rule}{how} at character {self.start:,}"
