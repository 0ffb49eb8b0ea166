"""What the administrator has written: settings, keys, texts in each language."""
