"""Drift of data: the reference profile of a version, and what later rows say beside it.

At release: `profile.build_profile`, written by `document.write_profile`. Later:

1. `document.read_profile(text)` gives the profile; a task asks `tasks.drift.profiles.load_profile`.
2. `profile.count_rows(parts)` counts a window's rows in one pass, each column read once. Counts of
   several windows, files or machines `merge` exactly; their size does not depend on the rows. The
   model's outputs are columns with the names `columns.PREDICTION` and `columns.SCORE`
   (`columns.name_score(value)` for each of several classes), a label is the target's column.
3. `rule.judge_drift(profile, counts)` gives a `findings.DriftJudgement` a kind (data, prediction,
   label, upstream), columns ranked by drift x importance; `rule.judge_slices` the same by slice.
   Merged counts of earlier windows can be the reference instead of the training rows.
4. `windows.advance_alarm` says whether an alarm opens or closes with this window (m of n).
5. `joint.compare_rows` asks whether a classifier can tell reference rows from current ones.

Rows come from `sluice.adapters.tables.columns`, or from a table in memory.
"""
