// Weights as they lie in memory (engine/inference/native/packing.py): in float32, bfloat16, 8 bits or 4.
//
// Weights [N, K] lie in panels of 16 outputs, K padded to GROUP with zeros; in a panel, for each step of k the 16
// outputs side by side: float32 1 k a step, bfloat16 2, 8-bit 4 (value + 128; in the order 0, 2, 1, 3), 4-bit 8 (value +
// 8; the first four, in that order, in the low halves of the bytes). Scales, in bfloat16: [N / 16, K / GROUP, 16].

#pragma once

#include "operations.h"
#include "vectors.h"

namespace {

constexpr int64_t PANEL = 16, GROUP = 32;

int64_t padded(int64_t k) { return (k + GROUP - 1) / GROUP * GROUP; }

// Where weights lie in their steps: even bytes hold neighbours, and so do odd ones, to be multiplied as pairs.
constexpr int64_t place(int64_t k) { return k % 4 == 1 ? 2 : k % 4 == 2 ? 1 : k % 4; }

// One weight as a number; there are `inputs` of them to an output, padding included.
float at(const Weight &w, int64_t inputs, int64_t n, int64_t k) {
    const int64_t panel = n / PANEL, lane = n % PANEL, start = panel * PANEL * inputs;
    const float scale = w.scales ? widened(w.scales[(panel * (inputs / GROUP) + k / GROUP) * PANEL + lane]) : 1.0f;
    switch (w.format) {
        case F32: return static_cast<const float *>(w.packed)[start + k * PANEL + lane];
        case BF16: return widened(static_cast<const bfloat16 *>(w.packed)[start + (k / 2 * PANEL + lane) * 2 + k % 2]);
        case INT8: {
            int value = static_cast<const uint8_t *>(w.packed)[start + (k / 4 * PANEL + lane) * 4 + place(k)];
            return float(value - 128) * scale;
        }
        default: {
            int byte = static_cast<const uint8_t *>(w.packed)[start / 2 + (k / 8 * PANEL + lane) * 4 + place(k)];
            return float((k % 8 < 4 ? byte & 15 : byte >> 4) - 8) * scale;
        }
    }
}

}  // namespace
