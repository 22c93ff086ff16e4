"""Data: its versions, schema, split, new rows and target leakage."""
