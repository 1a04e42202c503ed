"""From text files to ids.

Imports numpy, storage and the modules of charrnn_cli itself; nothing about models.
"""
