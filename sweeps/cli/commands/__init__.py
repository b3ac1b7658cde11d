"""The commands, a module for each group of them. Heavy packages are imported by the commands that need them."""
