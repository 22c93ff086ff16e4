"""A report is put together from counts and judgements."""

from collections.abc import Mapping
from dataclasses import replace

from sluice.drift.counts import WindowCounts, count_none
from sluice.drift.findings import ColumnDrift, DriftJudgement, Kind
from sluice.drift.joint import JointDrift
from sluice.drift.live.distributions import describe_column
from sluice.drift.live.report import ColumnReport, DriftReport
from sluice.drift.live.states import list_outcomes
from sluice.drift.profile import ReferenceProfile

Sides = tuple[WindowCounts, WindowCounts]
"""The counts of the reference, and those of the window."""


def build_report(
    about: DriftReport,
    profile: ReferenceProfile,
    sides: Sides,
    judged: Mapping[Kind, DriftJudgement],
    joint: JointDrift | None,
) -> DriftReport:
    """Return the report of a window alone: its alarms are the window's own.

    `about` says what is compared; its figures are filled in.
    """
    before, now = sides
    columns = {
        kind: tuple(_build_column(profile, sides, one) for one in part.columns)
        for kind, part in judged.items()
    }
    return replace(
        about,
        rows=now.rows,
        reference_rows=before.rows,
        kinds=list_outcomes(judged, joint),
        columns=columns,
        joint=joint,
        unknown=tuple(sorted(now.unknown.items())),
        left_out=judged["data"].left_out,
    )


def _build_column(profile: ReferenceProfile, sides: Sides, found: ColumnDrift) -> ColumnReport:
    column = profile.columns[found.column]
    before, now = (side.columns.get(found.column, count_none(column.bins)) for side in sides)
    return ColumnReport(found, describe_column(column, before, now))
