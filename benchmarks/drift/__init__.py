"""Benchmarks of drift: false alarms and power, a real upstream break, speed."""
