"""What tests share: running the program, hosts that send given bytes, terminals."""
