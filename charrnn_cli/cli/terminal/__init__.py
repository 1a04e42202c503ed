"""Terminal output: consoles, tables, formats and live displays."""
