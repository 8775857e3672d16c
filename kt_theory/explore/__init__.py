"""The explorer: a local page on which sizes, levels and prices are moved and the library answers.

`state` is what the page asks, `questions` what is computed, `desk` computes it in the background,
`answers` turns it into words and tables, `drawing` into figures, `page` lays it out, `server`
serves it to this machine alone.
"""
