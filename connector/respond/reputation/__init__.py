"""Reputation: what others know of a domain, an address or a file: VirusTotal, and MISP's warning lists."""
