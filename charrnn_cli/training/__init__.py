"""From a text to a trained run.

Imports torch, numpy, model and everything below. The modules that prepare a run do not import
torch, so that errors appear before torch loads.
"""
