"""What reaches a terminal: consoles, tables, formats and live displays."""
