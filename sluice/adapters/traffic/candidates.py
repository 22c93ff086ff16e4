"""Reading answers with bad feedback from the traffic log."""

import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.traffic.live import REQUEST, read_seconds, scan_records
from sluice.home import Home
from sluice.prompts.live.candidates import CaseCandidate, make_candidate, merge_feedback

FEEDBACK = ["at", REQUEST, "rating", "label", "service"]
ANSWERS = ["at", REQUEST, "version", "inputs", "outputs"]


def read_candidates(home: Home, service: str) -> list[CaseCandidate]:
    """Return the answers of a prompt with bad feedback, newest first, as they may become cases.

    Feedback that names no service counts where the answer is one of this prompt's.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    about = (
        (pc.field("service") == service)
        | pc.field("service").is_null()
        | (pc.field("service") == "")
    )
    parts = scan_records(home.feedback, FEEDBACK, about)
    rows = [row for part in parts for row in part.to_pylist()]
    rows.sort(key=lambda row: row["at"])
    bad = {name: item for name, item in merge_feedback(rows).items() if item.is_bad}
    if not bad:
        return []
    wanted = pc.field(REQUEST).isin(pa.array(list(bad), pa.string()))
    found: dict[str, CaseCandidate] = {}
    for batch in scan_records(home.answers(service), ANSWERS, wanted):
        moments = read_seconds(batch["at"]).tolist()
        for at, row in zip(moments, batch.to_pylist(), strict=True):
            given = bad[row[REQUEST]]
            made = make_candidate(given, at, row["version"], row["inputs"], row["outputs"])
            if made is not None:
                found[made.request_id] = made
    return sorted(found.values(), key=lambda item: (-item.at, item.request_id))
