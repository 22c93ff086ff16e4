"""Tables of rows: files, Delta tables and quarantine."""
