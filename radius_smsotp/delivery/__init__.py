"""Delivery: how a message gets from the store through a provider to a phone."""
