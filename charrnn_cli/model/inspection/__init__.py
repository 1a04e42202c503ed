"""What a model does while it reads a text: surprise, guesses and the activations of its units."""

LENGTH = 20_000  # characters that are inspected by default
