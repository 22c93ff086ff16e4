"""The closed loop: what changes in live traffic starts the next release by itself."""
