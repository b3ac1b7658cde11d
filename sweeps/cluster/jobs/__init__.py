"""Sweeps and commands that run on a Ray cluster as jobs."""
