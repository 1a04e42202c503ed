"""The command line: the only part that prints or knows a terminal; it may import every other part."""
