"""Synthetic speech: texts of assistant commands, voices of free engines, and pools of both.

The flow is text -> words with pronunciations -> an engine's voice -> trimmed 16 kHz samples -> a
pool on disk. Everything is a function of (recipe, seed, utterance index): see `recipe.py`.
"""
