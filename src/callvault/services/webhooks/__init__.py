"""Webhooks: endpoints are told of events, each in the form of its dialect, until they have answered."""
