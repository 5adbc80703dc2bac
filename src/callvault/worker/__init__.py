"""Runs the jobs and fires what is due."""
