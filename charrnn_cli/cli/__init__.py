"""The command line: the only package that prints. It may import all other packages."""
