"""The language model of labels: counted from the text generator, stored for the board."""
