"""What a reproduction needs of the machine: a checkout, an environment, a process, data files."""
