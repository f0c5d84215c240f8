"""From the bytes of a file to samples: a module for each format, chosen by looking at the content, never the name.

`loaders.read` is the way in: a loader of others where one knows the file's name, else `read.read_known`, which asks
`registry.FORMATS` whose the file is. JSON values go on to the parser of their shape (`engine.data.records`). What is
of no known shape, or breaks a limit, is refused with a reason; the rest of the file is read on.
"""
