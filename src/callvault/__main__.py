"""`python -m callvault`, and the program `callvault`."""


def main() -> None: ...
