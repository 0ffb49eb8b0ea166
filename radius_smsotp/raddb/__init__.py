"""Puts our files where FreeRADIUS reads them, and takes them away again."""
