"""Plots of networks, and the panels they are laid out on."""
