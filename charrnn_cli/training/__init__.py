"""From a text to a trained run.

May import the top-level modules, `storage`, `text`, `model`, numpy and torch. The modules that
prepare a run do not import torch, so that errors appear before torch loads.
"""
