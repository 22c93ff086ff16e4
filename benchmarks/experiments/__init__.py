"""How often the analysis of experiments is right: in simulation, and through a real gateway."""
