"""What is true in Sluice: facts, formulas, rules and verdicts."""
