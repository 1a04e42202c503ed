"""Options shared by commands, parsers of their values, and suggested command lines."""
