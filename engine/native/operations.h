// What a step of a decoder is made of, as Python writes it: engine/native/library.py has the same structures.

#pragma once

#include <cstdint>

enum Format : int64_t { F32, BF16, INT8, INT4 };
enum Kind : int64_t { EMBED, NORM, LINEAR, ATTEND, GATE };
enum Finish : int64_t { SET, ADD, GELU };

extern "C" {

struct Weight {
    Format format;
    int64_t n, k;  // as the model has them
    const void *packed;
    const float *scales;
    const float *bias;  // or null
};

// What one operation reads and writes; which fields count depends on its kind.
struct Operation {
    Kind kind;
    float *from, *to;                // [M, width of each]
    int64_t from_width, to_width;
    Weight weight;                   // LINEAR, EMBED: the table
    Finish finish;                   // LINEAR: what becomes of the product
    const float *scale, *shift;      // NORM: weight, and bias of a LayerNorm; EMBED: shift is the table of positions
    float epsilon;                   // NORM, and those of queries and keys
    void *keys, *values;             // ATTEND: one layer of the cache, [rows, kv_heads, length, head]
    int64_t cache_format, length;
    int64_t heads, kv_heads, head, window;
    const float *query_norm, *key_norm;  // [head], or null
    const float *cosines, *sines;        // [positions, head / 2], or null
};

}  // extern "C"
