"""Everything with side effects: load, fit, log, publish, raise."""
