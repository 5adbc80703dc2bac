"""The ports made real: one folder a port, one file a technology."""
