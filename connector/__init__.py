"""Guided hunts: DNS-policy and network threat hunting inside Elasticsearch and OpenSearch.

The rooms, from the top: `cli` renders, `demo` tells the story, `respond` writes back, `hunts` finds, `enrich` builds
the ingest pipeline, `siem` speaks to the search engine, `embedded` runs one, `settings` reads the operator's files.
"""

__version__ = "0.1.0"
