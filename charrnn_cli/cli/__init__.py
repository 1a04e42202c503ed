"""The command line, which alone prints and knows a terminal; it may import all other packages."""
