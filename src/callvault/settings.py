"""What the operator decided: the only module that reads the environment."""
