"""The use cases: one file each, speaking ports, never vendors."""
