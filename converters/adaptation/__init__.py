"""Personal adaptation: a bundle learns one person's voice without forgetting the others."""
