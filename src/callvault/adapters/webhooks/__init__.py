"""Webhooks: messages signed and sent."""
