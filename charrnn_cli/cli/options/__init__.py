"""Options and arguments that commands share, and command lines written out."""
