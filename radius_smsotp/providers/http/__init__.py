"""Any gateway with an HTTP API."""
