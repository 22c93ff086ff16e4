"""Watching what was released: reference profiles, live performance on labelled traffic."""
