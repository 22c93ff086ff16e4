"""Prompts on live traffic: sampled answers, and answers that become cases."""
