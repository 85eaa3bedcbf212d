"""The config keys `user.*` and `cloud-init.*`: reading, watching, and files and variables from them."""
