"""The search engine, behind one small interface: two wires, paging, bulk, tasks, installing, loading."""
