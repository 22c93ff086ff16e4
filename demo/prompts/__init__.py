"""The demonstration of prompts: versions, gates and a real local model, offline."""
