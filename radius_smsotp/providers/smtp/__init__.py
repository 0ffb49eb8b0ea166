"""Mail to SMS, by SMTP."""
