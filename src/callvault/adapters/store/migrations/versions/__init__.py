"""One module a revision, named `v`, its number, and what it brings."""
