"""The service: passes by themselves, on one of any number of machines, seen from outside."""
