"""Values of the field, and one form of names, numbers, PINs and texts.  Pure."""
