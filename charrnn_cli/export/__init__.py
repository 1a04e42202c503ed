"""Files for people without charrnn.

Imports numpy, model and everything below; never torch.
"""
