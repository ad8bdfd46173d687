"""Runs of ``fit``: what is shown and written of them, what stops them, where they go on."""
