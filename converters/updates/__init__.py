"""Keys, repository and publishing of releases."""
