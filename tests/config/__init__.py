"""Files made from config keys."""
