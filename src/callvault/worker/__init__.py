"""Runs the jobs and fires what is due."""

from callvault.worker.loop import Worker

__all__ = ["Worker"]
