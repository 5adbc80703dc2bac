"""Facts and rules of call recordings: standard library only, no I/O."""
