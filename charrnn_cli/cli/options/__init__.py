"""Options that commands share, values parsed, and command lines written out."""
