"""``thord worker``: takes jobs from a queue, does them in a trainer of this host, and reports to the thord they are of.

The store over there decides who works on what. This host only ever works on an attempt that it was given and that it
can say so about: where it was not heard for three quarters of the lease, it ends its trainer, before anybody else
begins.
"""
