"""What Sluice says of itself to other systems: log lines, traces, lineage of data and models."""
