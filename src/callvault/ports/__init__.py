"""The law: what the services need of the world, as short protocols with long docstrings."""
