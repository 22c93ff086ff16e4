"""Encoders of features: from raw columns of one kind to numbers, learned on training rows."""
