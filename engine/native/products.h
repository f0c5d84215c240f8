// Matrix products: some panels of weights at a time against all tokens.
//
// One token reads each weight once, as it is packed. For more tokens CHUNK inputs of a few panels are unpacked into the
// nearest cache, all tokens are multiplied with them, and what has been added up waits in `sums` for the next chunk.

#pragma once

#include "activations.h"
#include "amx.h"
#include "finishing.h"
#include "one_token.h"
#include "unpacking.h"

namespace {

constexpr int64_t BITS[] = {32, 16, 8, 4};  // of a weight, by format
#if defined(__AVX512F__)
constexpr int FEW_ROWS = 4, FEW_WIDE = 4;   // the tile of few tokens
#else
constexpr int FEW_ROWS = 3, FEW_WIDE = 2;
#endif
constexpr int ALONE_WIDE = 6;               // panels of a single token: each is a chain of sums, which wait for each other

// Numbers of room that `linear` needs in each thread for so many tokens.
int64_t room_for_sums(int64_t rows) { return PANEL * (rows * WIDE + FEW_ROWS * FEW_WIDE); }

// What a product reads of one matrix from a panel and an input on.
struct Part {
    const Prepared &x;
    const Weight &weight;
    int64_t panel, begin, end;

    const uint8_t *packed(int n) const {
        const int64_t weights = ((panel + n) * x.k + begin) * PANEL;  // a panel begins so many weights after the first
        return static_cast<const uint8_t *>(weight.packed) + weights * BITS[weight.format] / 8;
    }
    floats scales(int64_t g, int n) const {  // of a vector of outputs
        return load(weight.scales + ((panel + n / PARTS) * (x.k / GROUP) + g) * PANEL + n % PARTS * LANES);
    }
};

// Adds what a chunk of whole numbers gives; `pairs(g, total)` adds the products of a group exactly.
template <int MB, int NB, class Pairs>
inline void add_whole(const Part &part, int64_t m0, Tile<MB, NB> &acc, Pairs pairs) {
    const int32_t offset = part.weight.format == INT8 ? -128 : -8;
    for (int64_t g = part.begin / GROUP; g < part.end / GROUP; g++) {
        Tile<MB, NB, ints> total;
        EACH_OF_TILE total[m][n] = offset * part.x.sums[(m0 + m) * (part.x.k / GROUP) + g] - ints{};
        pairs(g, total);
        EACH_OF_TILE acc[m][n] = fused(__builtin_convertvector(total[m][n], floats), part.scales(g, n), acc[m][n]);
    }
}

// The same of one token and weights as they are packed, all groups.
template <int NB, Format FORMAT>
inline void add_groups(const Part &part, Tile<1, NB> &acc) {
    constexpr int N = NB * PARTS, STEP = TOGETHER<N>;
    const uint8_t *from[N];
    for (int n = 0; n < N; n++) from[n] = part.packed(n / PARTS) + n % PARTS * LANES * 4;
    add_whole<1, NB>(part, 0, acc, [&](int64_t g, Tile<1, NB, ints> &total) {
        const int64_t before = g * GROUP * PANEL * BITS[FORMAT] / 8;
#pragma GCC unroll 16
        for (int n = 0; n < N; n += STEP) {
            if constexpr (FORMAT == INT8) group_of_int8<STEP>(from + n, before, part.x, g, total[0] + n);
            else group_of_int4<STEP>(from + n, before, part.x, g, total[0] + n);
        }
    });
}

// One token against NB panels, as they are packed.
template <int NB>
void one_row(const Operation &op, const Prepared &x, int64_t panel) {
    constexpr int MB = 1;
    Tile<MB, NB> acc = {};
    if (op.weight.format == F32 || op.weight.format == BF16) {
        const Part part{x, op.weight, panel, 0, x.k};
        if (op.weight.format == F32) {
            tile_floats<MB, NB>(x.plain, 0, (const float *)part.packed(0), x.k * PANEL, x.k, acc);
        } else {
            const bfloat16 *w = (const bfloat16 *)part.packed(0);
#if defined(__AVX512BF16__)
            tile_halves<MB, NB>(x.half, 0, w, x.k * PANEL, x.k, acc);
#else
            for (int64_t k = 0; k < x.k; k += 2)
                EACH_OF_TILE {
                    const Floats2 two = unpack_bf16(w + (n / PARTS * x.k + k) * PANEL + n % PARTS * 2 * LANES);
                    acc[m][n] = fused(two.first, all(x.plain[k]), acc[m][n]);
                    acc[m][n] = fused(two.second, all(x.plain[k + 1]), acc[m][n]);
                }
#endif
        }
        return finish<MB, NB>(op, x, 0, panel, acc);
    }
    const Part part{x, op.weight, panel, 0, x.k};
    if (op.weight.format == INT8) add_groups<NB, INT8>(part, acc);
    else add_groups<NB, INT4>(part, acc);
    finish<MB, NB>(op, x, 0, panel, acc);
}

// The same against `count` panels, NB or fewer.
template <int NB>
void one_row_of(int64_t count, const Operation &op, const Prepared &x, int64_t panel) {
    if (count == NB) return one_row<NB>(op, x, panel);
    if constexpr (NB > 1) one_row_of<NB - 1>(count, op, x, panel);
}

// MB tokens against NB panels and the inputs of one chunk. `unpacked`: the weights, a panel each CHUNK inputs.
template <int MB, int NB>
void tile(const Operation &op, const Part &part, const void *unpacked, int64_t m0, float *sums) {
    const Prepared &x = part.x;
    const int64_t count = part.end - part.begin;
    Tile<MB, NB> acc;
    if (part.begin == 0) EACH_OF_TILE acc[m][n] = floats{};
    else EACH_OF_TILE acc[m][n] = load(sums + (m * NB * PARTS + n) * LANES);
    switch (part.weight.format) {
        case F32:
            tile_floats<MB, NB>(
                x.plain + m0 * x.k + part.begin, x.k, (const float *)part.packed(0), x.k * PANEL, count, acc
            );
            break;
        case BF16:
#if defined(__AVX512BF16__)
            tile_halves<MB, NB>(
                x.half + m0 * x.k + part.begin, x.k, (const bfloat16 *)part.packed(0), x.k * PANEL, count, acc
            );
#else
            tile_floats<MB, NB>(
                x.plain + m0 * x.k + part.begin, x.k, (const float *)unpacked, CHUNK * PANEL, count, acc
            );
#endif
            break;
        default:
            add_whole<MB, NB>(part, m0, acc, [&](int64_t g, Tile<MB, NB, ints> &total) {
                const int16_t *w = (const int16_t *)unpacked + (g * GROUP - part.begin) * PANEL;
                tile_whole<MB, NB>(x.whole + m0 * x.k + g * GROUP, x.k, w, CHUNK * PANEL, GROUP, total);
            });
    }
    if (part.end == x.k) return finish<MB, NB>(op, x, m0, part.panel, acc);
    EACH_OF_TILE store(sums + (m * NB * PARTS + n) * LANES, acc[m][n]);
}

// The tile of `rows` tokens, MB or fewer.
template <int MB, int NB>
void tile_of(int64_t rows, const Operation &op, const Part &part, const void *unpacked, int64_t m0, float *sums) {
    if (rows == MB) return tile<MB, NB>(op, part, unpacked, m0, sums);
    if constexpr (MB > 1) tile_of<MB - 1, NB>(rows, op, part, unpacked, m0, sums);
}

// Tokens against each of the panels from `panel` to `end`, NB at a time. Tiles have MB tokens at most, and as many as
// each other, or one less.
template <int MB, int NB>
void panels(const Operation &op, const Prepared &x, int64_t rows, int64_t panel, int64_t end, float *sums) {
    const int64_t tiles = (rows + MB - 1) / MB;
    alignas(64) uint8_t unpacked[NB * CHUNK * PANEL * 4];
    for (; panel + NB <= end; panel += NB)
        for (int64_t begin = 0; begin < x.k; begin += CHUNK) {
            const Part part{x, op.weight, panel, begin, begin + CHUNK < x.k ? begin + CHUNK : x.k};
            const int64_t count = part.end - begin;
            for (int n = 0; n < NB; n++) switch (op.weight.format) {
                case F32: break;
                case BF16:
#if !defined(__AVX512BF16__)
                    unpack((const bfloat16 *)part.packed(n), count, (float *)unpacked + n * CHUNK * PANEL);
#endif
                    break;
                case INT8:
                    unpack_whole<4>(part.packed(n), count, (int16_t *)unpacked + n * CHUNK * PANEL, unpack_int8);
                    break;
                case INT4:
                    unpack_whole<8>(part.packed(n), count, (int16_t *)unpacked + n * CHUNK * PANEL, unpack_int4);
            }
            for (int64_t t = 0, m = 0; t < tiles; t++) {
                const int64_t next = rows * (t + 1) / tiles;
                tile_of<MB, NB>(next - m, op, part, unpacked, m, sums + m * NB * PANEL);
                m = next;
            }
        }
    if constexpr (NB > 1) panels<MB, 1>(op, x, rows, panel, end, sums);
}

int64_t panels_of(const Weight &weight) { return (weight.n + PANEL - 1) / PANEL; }

// The panels from `panel` to `end` of a product.
void linear(const Operation &op, const Prepared &x, int64_t rows, int64_t panel, int64_t end, float *sums) {
#if defined(__AMX_BF16__)
    if (op.weight.format == BF16) return linear_by_amx(op, x, rows, panel, end);
#endif
    if (rows == 1) {
        const int64_t share = end - panel, parts = (share + ALONE_WIDE - 1) / ALONE_WIDE;
        for (int64_t part = 0, done = 0; part < parts; part++) {
            const int64_t next = share * (part + 1) / parts;
            one_row_of<ALONE_WIDE>(next - done, op, x, panel + done);
            done = next;
        }
    } else if (rows <= FEW_ROWS) {
        panels<FEW_ROWS, FEW_WIDE>(op, x, rows, panel, end, sums);
    } else {
        panels<ROWS, WIDE>(op, x, rows, panel, end, sums);
    }
}

}  // namespace
