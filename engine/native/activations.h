// Activations as the products with each kind of weights read them.

#pragma once

#include "tiles.h"

namespace {

// The numbers from the k-th on, of a row of so many; none are 0.
inline floats some(const float *x, int64_t k, int64_t width) {
    if (k + LANES <= width) return load(x + k);
    float few[LANES] = {};
    if (k < width) std::memcpy(few, x + k, (width - k) * sizeof(float));
    return load(few);
}

// Steps of 16 bits, the largest number at 32512 of them. A number that is none, or has no end, makes all of them none.
inline void prepare_whole(const Prepared &to, int64_t m, const float *x, int64_t width) {
    floats largest = {}, strange = {};
    for (int64_t k = 0; k < width; k += LANES) {
        const floats v = some(x, k, width), size = v < 0 ? -v : v;
        largest = larger(size, largest);
        strange += v - v;
    }
    float most = 0;
    for (int64_t lane = 0; lane < LANES; lane++) most = largest[lane] > most ? largest[lane] : most;
    const float inverse = most > 1e-30f ? 32512.0f / most : 0.0f;  // beyond, the inverse of a step has no end
    to.scales[m] = most / 32512.0f + sum(strange);
    int16_t *out = to.whole + m * to.k;
    for (int64_t g = 0; g < to.k / GROUP; g++) {
        ints total = {};
        for (int64_t k = g * GROUP; k < (g + 1) * GROUP; k += LANES) {
            const words steps = (words)nearest(some(x, k, width) * inverse);
            const halves low = __builtin_convertvector(steps, halves);
            std::memcpy(out + k, &low, sizeof low);
            total += (ints)(steps << 16) >> 16;  // what is kept of it: of numbers that are none it is not all
        }
        int32_t added = 0;
        for (int64_t lane = 0; lane < LANES; lane++) added += total[lane];
        to.sums[m * (to.k / GROUP) + g] = added;
    }
}

// Whole numbers as 256 times a byte and another byte, both with a sign, for a token that is computed alone.
inline void split([[maybe_unused]] const Prepared &to) {
#if defined(BYTES_ARE_MULTIPLIED)
    auto put = [](int8_t *to, shorts v) {  // 0, 2, 1, 3 of each four
        const quads four = (quads)(v & 255);
        const auto bytes = __builtin_convertvector(four | four >> 24, half_words);
        std::memcpy(to, &bytes, sizeof bytes);
    };
    for (int64_t k = 0; k < to.k; k += 2 * LANES) {
        const shorts v = (shorts)load_words(to.whole + k), low = (v << 8) >> 8;
        put(to.low + k, low);
        put(to.high + k, (v - low) >> 8);
    }
#endif
}

void prepare_row(const Prepared &to, Format format, int64_t m, const float *x, int64_t width) {
    const int64_t k = to.k;
    if (format == INT8 || format == INT4) {
        prepare_whole(to, m, x, width);
        if (to.high) split(to);
        return;
    }
#if defined(__AVX512BF16__)
    if (format == BF16) {
        bfloat16 *out = to.half + m * k;
        for (int64_t i = 0; i < k; i += LANES) store(out + i, some(x, i, width));
        return;
    }
#endif
    std::memcpy(to.plain + m * k, x, width * sizeof(float));
    std::memset(to.plain + m * k + width, 0, (k - width) * sizeof(float));
}

}  // namespace
