"""Reading texts and encoding them as ids.

May import the top-level modules, `storage` and numpy; knows nothing about models.
"""
