"""What services of chat export: a module for each, with the shape of its records. Sources are named there.

`engine.data.records.registry` lists the shapes. What an export marks as hidden, as the program's own, or as a branch
that the person left, is not learned.
"""
