"""A GSM modem on a serial line (3GPP TS 27.005, 23.040)."""
