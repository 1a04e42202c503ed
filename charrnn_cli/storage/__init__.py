"""Names and bytes on disk.

Imports the ground and platformdirs.
"""
