"""The commands, one module for each group. Heavy packages are imported inside the commands that need them."""
