"""Steps of a reproduction, and the modules that run with the code of a version's commit."""
