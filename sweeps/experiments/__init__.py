"""Published experiments and what they claim: each run as a sweep, each claim judged by what the sweep leaves."""
