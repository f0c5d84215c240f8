"""Decoding on a CPU by a kernel of our own, where a C++ compiler has built it; see `decoder.cpp` for why it pays."""
