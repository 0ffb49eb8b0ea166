"""A GSM modem on a serial line (3GPP 27.005, 23.040)."""
