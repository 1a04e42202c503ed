"""From a text to a trained run. Imports torch and everything below; the torch-free modules raise errors before it loads."""
