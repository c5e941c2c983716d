"""Updates: from a signed release on the broker to a bundle that runs, or back to the old one."""
