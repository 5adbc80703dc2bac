"""callvault: the open, self-hosted vault for call recordings."""

__version__ = "0.1.0"
