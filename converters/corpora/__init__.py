"""Corpora of one's own: whatever lhotse has prepared becomes training and evaluation material."""
