"""Packed files: their bytes are unpacked as a stream, within bounds, and read by the same formats. Nothing is written.

`unpack.read` is the way in. A compressed file (gzip, xz, bzip2, zstd) holds one file, an archive (zip, tar) holds
members with names. What cannot be unpacked is refused by the member's name; the others are read.
"""
