"""What FreeRADIUS sends and takes: packets, EAP, waiting for it and the process that it is."""
