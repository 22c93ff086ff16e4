"""A judge: a prompt that grades answers, bound to its model, with labels of people beside it.

`prompts/judges/NAME/` has versions as any prompt has, `judge.yaml` with the grades, `labels.jsonl`
with answers that people graded, and `proof.json` once its agreement with them was measured. Only a
proof of this very version, these labels and this model lets its scores decide.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from sluice.config.yaml_file import Section, list_errors
from sluice.documents import DocumentInvalid, Limits, parse_json, read_json
from sluice.errors import PromptInvalid
from sluice.prompts.chat import ChatRequest
from sluice.prompts.folder import load_version
from sluice.prompts.jsonl import join_problems, read_jsonl
from sluice.prompts.listing import JUDGES, list_versions
from sluice.prompts.rendering import render_request
from sluice.prompts.version import PromptVersion
from sluice.prompts.yaml_section import read_section

JUDGE_FILE, LABELS, PROOF = "judge.yaml", "labels.jsonl", "proof.json"
VARIABLES = ("input", "answer", "reference")
"""What a judge's texts may show: the case's input, the answer, the reference where there is one."""
REPLY_LIMITS = Limits(size=1024**2, depth=40, values=20_000)
MOST_SHOWN = 200
"""Characters of a reply that an error shows."""


class JudgeFile(Section):
    """How a judge grades: `judge.yaml`."""

    version: int = Field(ge=1)
    """The version that grades."""
    grades: dict[str, float] = Field(min_length=2)
    """What each grade is worth, 0 to 1, from the lowest to the highest where they have an order."""
    weighting: Literal["none", "linear", "quadratic"] = "none"
    """How a disagreement counts in kappa: `none` where grades have no order."""
    source: str = Field(min_length=8)
    """Who gave the labels, and under which licence."""

    @field_validator("grades")
    @classmethod
    def _grades_are_scores(cls, grades: dict[str, float]) -> dict[str, float]:
        for grade, worth in grades.items():
            if not 0.0 <= worth <= 1.0:
                raise ValueError(f"found {worth} for '{grade}'; allowed: 0 to 1")
        folded = [grade.casefold().strip() for grade in grades]
        if len(set(folded)) < len(folded) or not all(folded):
            raise ValueError("found two grades that differ by case only; allowed: distinct words")
        return grades


class LabelledAnswer(Section):
    """An answer that people graded."""

    input: str
    answer: str
    reference: str = ""
    grade: str
    tags: tuple[str, ...] = ()


class JudgeProof(Section):
    """A judge's measured agreement with people: `proof.json`."""

    version: int
    identity: str
    """The version's identity."""
    labels: str
    """The identity of the labels."""
    model: str
    """The exact model that graded, and its provider, as `ModelChoice.exact` gives them."""
    kappa: float | None = Field(ge=-1.0, le=1.0)
    """Cohen's kappa, -1 to 1, with its one-sided 95 % bounds; None where it is not defined."""
    lower: float | None = Field(ge=-1.0, le=1.0)
    upper: float | None = Field(ge=-1.0, le=1.0)
    n: int = Field(ge=0)
    """Labels that the judge graded."""
    not_run: int = Field(0, ge=0)
    """Labels without a grade, because the provider failed or the reply was none."""
    proved: str
    """Time of the measurement, ISO 8601 in UTC."""

    @model_validator(mode="after")
    def _bounds_enclose_kappa(self) -> "JudgeProof":
        known = [item for item in (self.lower, self.kappa, self.upper) if item is not None]
        if len(known) > 1 and (self.kappa is None or known != sorted(known)):
            raise ValueError("found a kappa that does not lie between its bounds")
        return self

    def to_json(self) -> str:
        """Return the proof as JSON for its file."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


@dataclass(frozen=True)
class PromptJudge:
    """A judge with its labels, and its proof where there is one that can be read.

    `damage` says why a proof that is there cannot be read; empty where it can, or there is none.
    """

    name: str
    folder: Path
    file: JudgeFile
    version: PromptVersion
    labels: tuple[LabelledAnswer, ...]
    proof: JudgeProof | None
    damage: str = ""

    @cached_property
    def labels_identity(self) -> str:
        """The hexadecimal sha256 of the labels; their order does not count."""
        lines = sorted(item.model_dump_json() for item in self.labels)
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    def make_request(self, given: str, answer: str, reference: str = "") -> ChatRequest:
        """Return what the judge is asked about an answer."""
        values = {"input": given, "answer": answer, "reference": reference}
        wanted = self.version.placeholders
        return render_request(self.version, {name: values[name] for name in wanted})

    def read_grade(self, reply: str) -> str:
        """Return the grade that a reply gives.

        A reply is the grade alone, a JSON object with the key `grade`, or text whose last line is
        `grade: ...`.

        Raises:
            ValueError: it gives none of the grades.
        """
        allowed = {grade.casefold().strip(): grade for grade in self.file.grades}
        for found in _list_candidates(reply):
            if (grade := allowed.get(found.casefold().strip(" \t.*\"'`"))) is not None:
                return grade
        shown = " ".join(reply.split())[:MOST_SHOWN]
        raise ValueError(f"found '{shown}'; allowed: one of {', '.join(self.file.grades)}")

    def explain_missing_proof(self, model: str) -> str:
        """Return why the proof does not count for an exact model; empty where it does."""
        next_step = f"next: sluice prompt prove-judge {self.name}"
        proof = self.proof
        if self.damage:
            return f"the proof of the judge {self.name} is damaged: {self.damage}; {next_step}"
        if proof is None:
            return f"the judge {self.name} has no proof of its agreement with people; {next_step}"
        if proof.identity != self.version.identity:
            return f"the judge {self.name} changed since its proof; {next_step}"
        if proof.labels != self.labels_identity:
            return f"the labels of the judge {self.name} changed since its proof; {next_step}"
        if proof.model != model:
            words = f"was proved with {proof.model}, and {model} grades now"
            return f"the judge {self.name} {words}; {next_step}"
        words = ""
        if proof.not_run:
            words = f"left {proof.not_run:,} of its labels without a grade"
        elif proof.n != len(self.labels):
            words = f"has a proof about {proof.n:,} labels, and there are {len(self.labels):,}"
        return f"the judge {self.name} {words}; {next_step}" if words else ""


def load_judge(name: str, root: Path) -> PromptJudge:
    """Read a judge of `root/judges`.

    Raises:
        PromptInvalid: there is no such judge, a file is missing or not valid, a label has no grade
            of the judge or is there twice, its version is that of another judge, or its texts have
            a variable that judges do not know.
    """
    folder = root / JUDGES / name
    known = list_judges(root)
    if name not in known:
        allowed = ", ".join(known) or "none yet"
        raise PromptInvalid(f"{folder}: found no judge '{name}'; allowed: {allowed}")
    file = read_section(folder / JUDGE_FILE, JudgeFile)
    path = folder / f"v{file.version}.yaml"
    if file.version not in list_versions(folder):
        found = ", ".join(map(str, list_versions(folder))) or "none"
        raise PromptInvalid(
            f"{folder / JUDGE_FILE}: version: found {file.version}; allowed: {found}"
        )
    version = load_version(name, file.version, root / JUDGES)
    unknown = [item for item in version.placeholders if item not in VARIABLES]
    if unknown or "answer" not in version.placeholders:
        words = f"found {{{unknown[0]}}}" if unknown else "found no {answer}"
        allowed = ", ".join(f"{{{item}}}" for item in VARIABLES)
        raise PromptInvalid(f"{path}: template: {words}; allowed: {allowed}, with {{answer}}")
    labels = read_jsonl(folder / LABELS, LabelledAnswer) if (folder / LABELS).exists() else {}
    problems = [
        f"{folder / LABELS}:{line}: grade: found '{item.grade}'; allowed: {', '.join(file.grades)}"
        for line, item in labels.items()
        if item.grade not in file.grades
    ]
    problems += _find_repeated(folder / LABELS, labels)
    if problems:
        raise PromptInvalid(join_problems(problems))
    proof, damage = _read_proof(folder / PROOF)
    return PromptJudge(name, folder, file, version, tuple(labels.values()), proof, damage)


def _find_repeated(path: Path, labels: Mapping[int, LabelledAnswer]) -> Iterator[str]:
    """Yield the labels of an answer that has one already: it would count as two."""
    seen = dict[tuple[str, str, str], int]()
    for line, item in labels.items():
        first = seen.setdefault((item.input, item.answer, item.reference), line)
        if first != line:
            yield f"{path}:{line}: found the answer of line {first} again; allowed: each once"


def list_judges(root: Path) -> list[str]:
    """Return the names of the judges of a folder of prompts, sorted."""
    return sorted(path.parent.name for path in (root / JUDGES).glob(f"*/{JUDGE_FILE}"))


def _read_proof(path: Path) -> tuple[JudgeProof | None, str]:
    """Return the proof, None where there is none, and why one that is there cannot be read."""
    try:
        return JudgeProof.model_validate(read_json(path)), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{path}: {error.strerror or type(error).__name__}"
    except DocumentInvalid as error:
        return None, f"{path}: {error}"
    except ValidationError as error:
        key, words = list_errors(error, JudgeProof)[0]
        return None, f"{path}: {'.'.join(map(str, key)) or 'the file'}: {words}"


def _list_candidates(reply: str) -> list[str]:
    """Return what may be the grade in a reply, the likeliest first."""
    text = reply.strip()
    found = [text]
    try:
        values = parse_json(text[text.index("{") : text.rindex("}") + 1], REPLY_LIMITS)
        if isinstance(values, dict) and isinstance(values.get("grade"), str | int | float):
            found.insert(0, str(values["grade"]))
    except ValueError:  # there is no JSON, or none within the limits
        pass
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines:
        found.append(lines[-1].rpartition(":")[2] if "grade" in lines[-1].casefold() else "")
    return found
