"""Statistics of experiments: two arms compared by the unit that was assigned."""
