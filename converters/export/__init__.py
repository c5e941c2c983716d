"""From trained PyTorch weights to the files of a bundle."""
