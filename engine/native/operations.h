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
    int64_t adapted;                 // LINEAR: which of `Group::factors` are for it, counted from 1; 0: none
    int64_t keys_at, values_at;      // ATTEND: one layer, [kv_heads, PAGE, head], in a page; in numbers
    int64_t cache_format, page_stride;   // from one page to the next, in numbers
    int64_t heads, kv_heads, head, window;
    const float *query_norm, *key_norm;  // [head], or null
    const float *cosines, *sines;        // [positions, head / 2], or null
};

// Which of the numbers that A makes a panel of B takes: `count` of them, an even number, from the `first` on. Its
// weights, [count, 16] or in bfloat16 [count / 2, 16, 2], are those from `at` on.
struct Span {
    int64_t at, first, count;
};

// What an adapter adds to one product: B [N, R] of what A [R, K] makes of its inputs. A may lie nowhere: nothing. Both
// have one format, float32 or bfloat16, and of B only those parts of a panel are there that are not 0.
struct Factors {
    Weight a;
    const void *b;
    const Span *spans;  // of each panel
};

// The tokens of one version: those before `end` that belong to no group before it.
struct Group {
    int64_t end;
    const Factors *factors;  // of each product that can be adapted, in order; null: the version is the base itself
    void *cache;             // page 0
};

// The tokens of one call: token m is `ids[m]` at `positions[m]` of cache row `rows[m]`, the pages of which are named at
// `table[rows[m] * table_width]`. Tokens of one row come in order, and those of one version side by side.
struct Tokens {
    int64_t count;
    const int64_t *ids, *rows, *positions;
    const int64_t *table;
    int64_t table_width;
    const Group *groups;
    int64_t group_count;
    float *inner;  // [M, inner_width]: what A makes, of any product; beyond it the same in bfloat16
    int64_t inner_width;
};

}  // extern "C"
