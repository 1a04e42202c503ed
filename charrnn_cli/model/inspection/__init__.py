"""What a model does while it reads a text: surprise, guesses and the activations of its units."""
