"""The evaluation of a version: checks, judges, what each answer is worth, and the results."""
