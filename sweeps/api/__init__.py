"""The Python API: what `import sweeps` offers, imported on first use."""
