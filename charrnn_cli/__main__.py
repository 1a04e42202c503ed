"""Entry point of `charrnn` and `python -m charrnn_cli`."""

import sys


def main() -> None:
    """Run the program; an interruption during its imports ends it like any other."""
    try:
        from charrnn_cli.cli.process import prepare

        prepare()
        from charrnn_cli.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
