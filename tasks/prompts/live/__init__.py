"""Prompts on live traffic: sampled answers, the version that serves asked anew, cases."""
