"""Made-up traffic of experiments: users with many requests, in two arms."""
