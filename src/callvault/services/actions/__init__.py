"""What can be done to a recording: one file a verb, each blind to the others."""
