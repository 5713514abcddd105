"""What is fuzzed: for each input a strategy of cases, and a check that raises if the property does not hold.

The property is the same throughout: either a value that passes the checks of the module that made it, or a
`CachesteerError` whose message is one printable line. Nothing else is raised.
"""
