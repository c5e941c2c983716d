"""What runs on a workstation: makes, measures and exports the models that boards run."""
