"""Evaluating a prompt version: asking the model, scoring, judging, publishing."""
