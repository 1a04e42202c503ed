"""`python -m charrnn_cli`, and `charrnn`."""

import sys


def main() -> None:
    """Run the program; an interruption while it is being imported is one like any other."""
    try:
        from charrnn_cli.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
