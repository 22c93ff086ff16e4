"""Plots of evaluations, groups of people, releases and rollouts."""
