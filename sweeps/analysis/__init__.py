"""What the results of a sweep say: importance, findings by setting, convergence, what to try next, and the report."""
