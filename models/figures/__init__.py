"""The figures of a trial: what they show, and how they are drawn."""
