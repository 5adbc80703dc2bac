"""`python -m callvault`, and the program `callvault`."""


def main() -> None:
    from callvault.cli.program import main as run

    run()


if __name__ == "__main__":
    main()
