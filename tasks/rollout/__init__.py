"""Rollouts on live traffic: opening, controller, commands, keeper."""
