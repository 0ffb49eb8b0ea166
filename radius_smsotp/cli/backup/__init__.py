"""``smsotp backup`` and ``smsotp restore``: all that a server needs, in one sealed file."""
