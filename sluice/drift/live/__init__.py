"""A window of live traffic beside a reference: which windows, their rows, what was found."""
