"""Files for people without charrnn. Imports numpy and below; never torch."""
