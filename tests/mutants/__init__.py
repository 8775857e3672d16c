"""Small wrong versions of the package, each of which the quick suite must convict: `make mutants`."""
