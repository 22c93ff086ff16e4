"""What the control store holds of experiments: their records, and a log that is only appended."""
