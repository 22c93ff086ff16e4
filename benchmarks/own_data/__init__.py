"""Public data sets, each taken from `sluice init` to a served model."""
