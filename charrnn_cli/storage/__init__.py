"""Names and bytes on disk: paths, files, digests, locks, runs. Imports the ground and platformdirs."""
