"""Figures, and the commands that show them."""
