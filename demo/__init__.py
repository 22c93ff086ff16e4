"""The demonstration `make demo`: planted faults and replayed traffic."""
