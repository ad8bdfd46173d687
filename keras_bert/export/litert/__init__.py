"""A task model as a LiteRT file."""
