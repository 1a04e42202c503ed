"""Searching for settings; may import what `training` may, and optuna."""
