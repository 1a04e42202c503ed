"""From files to ids: reading, vocabularies, encoded texts and splits. Imports numpy, storage and the ground; knows no model."""
