"""The config keys `user.*` and `cloud-init.*`: listing, reading, and their use as environment variables."""
