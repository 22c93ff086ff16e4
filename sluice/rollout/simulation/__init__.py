"""Whole rollouts against made-up or recorded traffic: how often a policy would decide wrongly."""
