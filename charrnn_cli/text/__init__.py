"""From files to ids; knows no model.

Imports numpy, storage and the ground.
"""
