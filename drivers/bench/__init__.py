"""Arrays made of instruments."""
