"""The commands, as typed; a module is imported when its command runs."""
