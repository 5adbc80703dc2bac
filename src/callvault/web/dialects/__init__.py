"""The published APIs that callvault speaks: one folder each, each blind to the others."""
