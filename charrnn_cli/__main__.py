"""`python -m charrnn_cli`."""

from charrnn_cli.cli.main import main

if __name__ == "__main__":
    main()
