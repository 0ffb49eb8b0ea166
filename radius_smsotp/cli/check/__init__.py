"""``smsotp check``: every problem at once."""
