"""Declarations: one threat at one asset, from hunts and by people, with what is decided about them."""
