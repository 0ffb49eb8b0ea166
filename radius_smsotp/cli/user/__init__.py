"""``smsotp user``: accounts."""
