"""A model as named tensors: its file, its engine, what it writes and what a text costs it. Imports numpy and below; never torch."""
