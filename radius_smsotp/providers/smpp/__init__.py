"""An SMSC by SMPP 3.4."""
