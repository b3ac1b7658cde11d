"""Published experiments and their claims: each experiment runs as a sweep, and its results decide the claims."""
