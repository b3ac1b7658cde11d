"""How points are chosen, stopped early and ranked."""
