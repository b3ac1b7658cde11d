"""How points are chosen, packed, stopped early and ranked."""
