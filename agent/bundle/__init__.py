"""The model bundle: its manifest and the runtime that executes its files."""
