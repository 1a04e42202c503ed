"""A model as named tensors: its file, its engine, what it writes and what a text costs.

Imports numpy, text, storage and the ground; never torch.
"""
