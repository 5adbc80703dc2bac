"""Arrays in, arrays out: everything that is done to sound."""
