"""Dashboards for OpenSearch Dashboards and Kibana: their source, the saved objects made of it, and a preview."""
