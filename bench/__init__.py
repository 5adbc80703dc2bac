"""Benchmarks beside peers, all in ratios of one run."""
