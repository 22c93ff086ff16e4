"""What a version must still answer: fixed records, and what it said to them when it was judged."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.forms import Form
from serving.prediction import AnswerShape
from serving.signature import Record
from sluice.errors import AnswerInvalid
from sluice.stats.parity import measure_parity
from sluice.stats.predictions import Predictions


@dataclass(frozen=True, eq=False)
class Proof:
    """Held-out records of a version, and the trained form's answers to them."""

    records: Sequence[Record]
    expected: Predictions

    def find_fault(self, form: Form, shape: AnswerShape) -> str:
        """Ask a form and say in words how its answers are others; empty where they are not."""
        try:
            answers = form.answer(self.records)
            shape.read(answers, len(self.records))
        except AnswerInvalid as error:
            return str(error)
        found = measure_parity(self.expected, answers)
        if found.missing:
            return found.missing
        if not (found.beyond or found.flips):
            return ""
        return (
            f"answers otherwise than when it was judged: differs by {found.difference:.3g}, "
            f"limit {found.allowed:.3g}, in {found.beyond:,} of {found.n:,} rows, "
            f"{found.flips:,} labels flip"
        )
