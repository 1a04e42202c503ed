"""Models in numpy: checkpoints, the engine, sampling and scoring.

May import the top-level modules, `storage`, `text` and numpy, but not torch.
"""
