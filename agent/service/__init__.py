"""What a service owes its manager: signs of life, a watchdog that means something, health."""
