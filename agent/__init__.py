"""What runs on the board: hears, recognises, and tells a broker what was said."""

__version__ = "0.1.0"
