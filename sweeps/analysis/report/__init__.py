"""The report of a sweep: one HTML file without requests, its charts, and its delivery while the sweep runs."""
