"""The layouts that dumps have on disk, a file for each."""
