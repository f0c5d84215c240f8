// What a step of a decoder is made of, as Python writes it: engine/native/library.py has the same structures.

#pragma once

#include <cstdint>

enum Format : int64_t { F32, BF16, INT8, INT4 };
enum Kind : int64_t { EMBED, NORM, LINEAR, ATTEND, GATE };
enum Finish : int64_t { SET, ADD, GELU };
constexpr int64_t PAGE = 64;  // positions in a page of the cache

extern "C" {

struct Weight {
    Format format;
    int64_t n, k;  // as the model has them
    const void *packed;
    const uint16_t *scales;  // bfloat16
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
    void *keys, *values;             // ATTEND: one layer in page 0 of the cache, [kv_heads, PAGE, head]
    int64_t cache_format, page_stride;   // from one page to the next, in numbers
    int64_t heads, kv_heads, head, window;
    const float *query_norm, *key_norm;  // [head], or null
    const float *cosines, *sines;        // [positions, head / 2], or null
};

// The tokens of one call: token m is `ids[m]` at `positions[m]` of cache row `rows[m]`, the pages of which are named at
// `table[rows[m] * table_width]`. Tokens of one row come in order.
struct Tokens {
    int64_t count;
    const int64_t *ids, *rows, *positions;
    const int64_t *table;
    int64_t table_width;
};

}  // extern "C"
