"""Files for other programs.

May import the top-level modules, `storage`, `text`, `model` and numpy, but not torch.
"""
