"""The commands, one file a noun: they only render what a function below them returns."""
