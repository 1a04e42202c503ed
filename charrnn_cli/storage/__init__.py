"""Paths, locks, atomic writes, the file format, runs and references.

May import the top-level modules and platformdirs.
"""
