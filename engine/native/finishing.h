// What becomes of the sums of a product.

#pragma once

#include "tiles.h"

namespace {

// The scale of the token's whole numbers, bias, and what becomes of the product.
template <int MB, int NB>
inline void finish(const Operation &op, const Prepared &x, int64_t m0, int64_t panel, Tile<MB, NB> &acc) {
    const Weight &w = op.weight;
    for (int m = 0; m < MB; m++)
        for (int n = 0; n < NB * PARTS; n++) {
            const int64_t first = panel * PANEL + n * LANES, there = w.n - first < LANES ? w.n - first : LANES;
            if (there <= 0) continue;
            floats value = acc[m][n];
            if (w.format == INT8 || w.format == INT4) value *= x.scales[m0 + m];
            float out[LANES], bias[LANES] = {};
            if (w.bias) std::memcpy(bias, w.bias + first, there * sizeof(float));
            value += load(bias);
            if (op.finish == GELU) value = gelu(value);
            float *to = op.to + (m0 + m) * op.to_width + first;
            if (there == LANES) {
                store(to, op.finish == ADD ? load(to) + value : value);
            } else {
                store(out, value);
                for (int64_t i = 0; i < there; i++) to[i] = op.finish == ADD ? to[i] + out[i] : out[i];
            }
        }
}

}  // namespace
