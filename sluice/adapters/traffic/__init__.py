"""The traffic log as Delta tables: written by the log-writer, read with labels and live figures."""
