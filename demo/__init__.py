"""What goes wrong on purpose: corrupted inputs for the flows that users run."""
