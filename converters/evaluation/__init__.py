"""How good the models are: counts, exact intervals, and who they fail."""
