"""The installed program inside a guest of every host: what it prints, and what it changes on the host."""
