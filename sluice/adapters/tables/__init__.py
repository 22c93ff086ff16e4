"""Where rows are read and written: files, Delta tables, quarantine."""
