"""The trial on training rows: which model, which features, which floors and margins."""
