"""Kinds of estimator that a configuration may name; a new kind is one file here."""
