"""Tags of a version that passed its gates, for tests that register one without a release."""

from sluice.control.admission import GATES, VERDICT

VERDICTS = {f"{VERDICT}{gate}": "pass" for gate in GATES}
PASSED = {**VERDICTS, "sluice.release": "r", "sluice.data.version": "1"}
