"""A real search engine on this machine, from published artifacts, for trying and testing.

`running_node` (node.py) runs one for the length of a with statement; `background.py` is behind `hunts engine`.
Unix only.
"""
