"""What a person sees: tables and lines on a terminal and in a log."""
