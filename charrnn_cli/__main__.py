"""Entry point of `charrnn` and `python -m charrnn_cli`."""

import sys


def main() -> None:
    """Run the program; Ctrl-C during its imports exits with code 130, as it does later."""
    try:
        from charrnn_cli.cli.process import prepare

        prepare()
        from charrnn_cli.cli.signals import exiting_on_signals
    except KeyboardInterrupt:
        sys.exit(130)
    with exiting_on_signals():
        from charrnn_cli.cli.main import main as run

        run()


if __name__ == "__main__":
    main()
