"""How outside systems are spoken to; nothing else in sluice imports these."""
