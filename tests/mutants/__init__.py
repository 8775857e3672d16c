"""Small wrong versions of the package, which the quick suite must convict: `make mutants`."""
