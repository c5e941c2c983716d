"""One module for each command of `voice-converters`; imported only when chosen."""
