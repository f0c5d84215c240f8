// Matrix products with weights as they lie in memory (engine/native/packing.py): in float32, bfloat16, 8 bits or 4.
//
// Weights [N, K] lie in panels of 16 outputs, K padded to GROUP with zeros; in a panel, for each step of k the 16
// outputs side by side: float32 1 k a step, bfloat16 2, 8-bit 4 (value + 128), 4-bit 8 (value + 8; the first four in the
// low halves of the bytes). Scales: 8-bit [N], 4-bit [N / 16, K / GROUP, 16].
//
// Where the processor has instructions for bfloat16 and 8-bit products (AVX-512 BF16 and VNNI), they are used.

#pragma once

#include "operations.h"
#include "vectors.h"

namespace {

constexpr int64_t GROUP = 32;

int64_t padded(int64_t k) { return (k + GROUP - 1) / GROUP * GROUP; }

// One weight as a number; there are `inputs` of them to an output, padding included.
float at(const Weight &w, int64_t inputs, int64_t n, int64_t k) {
    const int64_t panel = n / LANES, lane = n % LANES, start = panel * LANES * inputs;
    switch (w.format) {
        case F32: return static_cast<const float *>(w.packed)[start + k * LANES + lane];
        case BF16: return widened(static_cast<const bfloat16 *>(w.packed)[start + (k / 2 * LANES + lane) * 2 + k % 2]);
        case INT8: {
            int value = static_cast<const uint8_t *>(w.packed)[start + (k / 4 * LANES + lane) * 4 + k % 4];
            return float(value - 128) * w.scales[n];
        }
        default: {
            int byte = static_cast<const uint8_t *>(w.packed)[start / 2 + (k / 8 * LANES + lane) * 4 + k % 4];
            return float((k % 8 < 4 ? byte & 15 : byte >> 4) - 8) *
                   w.scales[(panel * (inputs / GROUP) + k / GROUP) * LANES + lane];
        }
    }
}

// Activations as a product reads them. Sums over k are kept for weights that are stored with an offset.
struct Prepared {
    int64_t k;         // padded
    float *plain;      // [M, k]
    bfloat16 *half;    // [M, k]
    int8_t *high, *low;  // [M, k]: 16 bits as 256 * high + low
    int32_t *high_sums, *low_sums;  // [M, k / GROUP]
    float *scales;     // [M]
};

void prepare_row(const Prepared &to, Format format, int64_t m, const float *x, int64_t width) {
    const int64_t k = to.k;
#if defined(__AVX512BF16__)
    if (format == BF16) {
        bfloat16 *out = to.half + m * k;
        for (int64_t i = 0; i < width; i++) out[i] = rounded(x[i]);
        for (int64_t i = width; i < k; i++) out[i] = 0;
        return;
    }
#endif
#if defined(__AVX512VNNI__)
    if (format == INT8 || format == INT4) {
        float most = 0;
        for (int64_t i = 0; i < width; i++) most = std::fabs(x[i]) > most ? std::fabs(x[i]) : most;
        float scale = most / 32512.0f, inverse = most > 0 ? 32512.0f / most : 0.0f;
        if (!(most < INFINITY)) scale = NAN;
        to.scales[m] = scale;
        int8_t *high = to.high + m * k, *low = to.low + m * k;
        for (int64_t i = 0; i < k; i++) {
            int32_t value = i < width ? int32_t(std::nearbyint(x[i] * inverse)) : 0;
            low[i] = int8_t(value & 255);
            high[i] = int8_t((value - low[i]) >> 8);
        }
        for (int64_t g = 0; g < k / GROUP; g++) {
            int32_t a = 0, b = 0;
            for (int64_t i = g * GROUP; i < (g + 1) * GROUP; i++) a += high[i], b += low[i];
            to.high_sums[m * (k / GROUP) + g] = a;
            to.low_sums[m * (k / GROUP) + g] = b;
        }
        return;
    }
#endif
    std::memcpy(to.plain + m * k, x, width * sizeof(float));
    std::memset(to.plain + m * k + width, 0, (k - width) * sizeof(float));
}

// Each tile computes NB panels for MB rows: acc[m][n] are 16 outputs of one row.
template <int MB, int NB>
void tile_f32(const Prepared &x, int64_t m0, const float *w, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES;
    for (int64_t k = 0; k < x.k; k++) {
        for (int n = 0; n < NB; n++) {
            floats column = load(w + n * panel + k * LANES);
            for (int m = 0; m < MB; m++) acc[m][n] = fused(column, all(x.plain[(m0 + m) * x.k + k]), acc[m][n]);
        }
    }
}

template <int MB, int NB>
void tile_bf16(const Prepared &x, int64_t m0, const bfloat16 *w, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES;
    for (int64_t k = 0; k < x.k; k += 2) {
        for (int n = 0; n < NB; n++) {
            words pair = load_words(w + n * panel + k * LANES);
            // Many rows compute longer than one pair takes to come; the panels after these come meanwhile.
            if constexpr (MB >= 8) __builtin_prefetch(w + (NB + n) * panel + k * LANES, 0, 2);
            for (int m = 0; m < MB; m++) {
#if defined(__AVX512BF16__)
                int32_t both;
                std::memcpy(&both, x.half + (m0 + m) * x.k + k, 4);
                acc[m][n] = (floats)_mm512_dpbf16_ps((__m512)acc[m][n], (__m512bh)pair, (__m512bh)_mm512_set1_epi32(both));
#else
                const float *a = x.plain + (m0 + m) * x.k + k;
                acc[m][n] = fused(bits(pair << 16), all(a[0]), acc[m][n]);
                acc[m][n] = fused(bits(pair & 0xffff0000u), all(a[1]), acc[m][n]);
#endif
            }
        }
    }
}

#if defined(__AVX512VNNI__)
inline ints dot(ints acc, words w, const int8_t *a) {
    int32_t four;
    std::memcpy(&four, a, 4);
    return (ints)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32(four));
}
#endif

template <int MB, int NB>
void tile_int8(const Prepared &x, int64_t m0, const uint8_t *w, const float *scales, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES;
#if defined(__AVX512VNNI__)
    ints high[MB][NB], low[MB][NB];
    for (int m = 0; m < MB; m++) {
        int32_t a = 0, b = 0;
        for (int64_t g = 0; g < x.k / GROUP; g++) {
            a += x.high_sums[(m0 + m) * (x.k / GROUP) + g];
            b += x.low_sums[(m0 + m) * (x.k / GROUP) + g];
        }
        for (int n = 0; n < NB; n++) high[m][n] = -128 * a - ints{}, low[m][n] = -128 * b - ints{};
    }
    for (int64_t k = 0; k < x.k; k += 4) {
        for (int n = 0; n < NB; n++) {
            words four = load_words(w + n * panel + k * LANES);
            for (int m = 0; m < MB; m++) {
                high[m][n] = dot(high[m][n], four, x.high + (m0 + m) * x.k + k);
                low[m][n] = dot(low[m][n], four, x.low + (m0 + m) * x.k + k);
            }
        }
    }
    for (int m = 0; m < MB; m++)
        for (int n = 0; n < NB; n++)
            acc[m][n] = (256.0f * __builtin_convertvector(high[m][n], floats) + __builtin_convertvector(low[m][n], floats)) *
                        x.scales[m0 + m] * load(scales + n * LANES);
#else
    for (int64_t k = 0; k < x.k; k += 4)
        for (int n = 0; n < NB; n++) {
            words four = load_words(w + n * panel + k * LANES);
            for (int j = 0; j < 4; j++) {
                floats column = __builtin_convertvector((four >> (8 * j)) & 255u, floats) - 128.0f;
                for (int m = 0; m < MB; m++)
                    acc[m][n] = fused(column, all(x.plain[(m0 + m) * x.k + k + j]), acc[m][n]);
            }
        }
    for (int m = 0; m < MB; m++)
        for (int n = 0; n < NB; n++) acc[m][n] *= load(scales + n * LANES);
#endif
}

template <int MB, int NB>
void tile_int4(const Prepared &x, int64_t m0, const uint8_t *w, const float *scales, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES / 2, groups = x.k / GROUP;
    for (int64_t g = 0; g < groups; g++) {
        for (int n = 0; n < NB; n++) {
            const uint8_t *from = w + n * panel + g * GROUP * LANES / 2;
            const floats scale = load(scales + (n * groups + g) * LANES);
#if defined(__AVX512VNNI__)
            ints high[MB], low[MB];
            for (int m = 0; m < MB; m++) {
                high[m] = -8 * x.high_sums[(m0 + m) * groups + g] - ints{};
                low[m] = -8 * x.low_sums[(m0 + m) * groups + g] - ints{};
            }
            for (int64_t i = 0; i < GROUP; i += 8) {
                words eight = load_words(from + i * LANES / 2);
                words first = eight & 0x0f0f0f0fu, second = (eight >> 4) & 0x0f0f0f0fu;
                for (int m = 0; m < MB; m++) {
                    const int64_t at = (m0 + m) * x.k + g * GROUP + i;
                    high[m] = dot(dot(high[m], first, x.high + at), second, x.high + at + 4);
                    low[m] = dot(dot(low[m], first, x.low + at), second, x.low + at + 4);
                }
            }
            for (int m = 0; m < MB; m++)
                acc[m][n] += __builtin_convertvector(256 * high[m] + low[m], floats) * (scale * x.scales[m0 + m]);
#else
            for (int m = 0; m < MB; m++) {
                floats part = {};
                for (int64_t i = 0; i < GROUP; i += 8) {
                    words eight = load_words(from + i * LANES / 2);
                    for (int j = 0; j < 8; j++) {
                        words nibble = (eight >> (8 * (j % 4) + 4 * (j / 4))) & 15u;
                        const float a = x.plain[(m0 + m) * x.k + g * GROUP + i + j];
                        part = fused(__builtin_convertvector(nibble, floats) - 8.0f, all(a), part);
                    }
                }
                acc[m][n] += part * scale;
            }
#endif
        }
    }
}

template <int MB, int NB>
void tile(const Operation &op, const Prepared &x, int64_t m0, int64_t panel) {
    const Weight &w = op.weight;
    const int64_t bits_of[] = {32, 16, 8, 4};
    const uint8_t *from = static_cast<const uint8_t *>(w.packed) + panel * LANES * x.k * bits_of[w.format] / 8;
    floats acc[MB][NB] = {};
    switch (w.format) {
        case F32: tile_f32<MB, NB>(x, m0, reinterpret_cast<const float *>(from), acc); break;
        case BF16: tile_bf16<MB, NB>(x, m0, reinterpret_cast<const bfloat16 *>(from), acc); break;
        case INT8: tile_int8<MB, NB>(x, m0, from, w.scales + panel * LANES, acc); break;
        case INT4: tile_int4<MB, NB>(x, m0, from, w.scales + panel * (x.k / GROUP) * LANES, acc); break;
    }
    for (int m = 0; m < MB; m++)
        for (int n = 0; n < NB; n++) {
            const int64_t first = (panel + n) * LANES, there = w.n - first < LANES ? w.n - first : LANES;
            float out[LANES], bias[LANES] = {};
            if (w.bias) std::memcpy(bias, w.bias + first, there * sizeof(float));
            floats value = acc[m][n] + load(bias);
            store(out, op.finish == GELU ? gelu(value) : value);
            float *to = op.to + (m0 + m) * op.to_width + first;
            if (there == LANES) {
                store(to, op.finish == ADD ? load(to) + load(out) : load(out));
            } else {
                for (int64_t i = 0; i < there; i++) to[i] = op.finish == ADD ? to[i] + out[i] : out[i];
            }
        }
}

// All rows against NB panels that lie side by side; MB: as many rows at once as registers hold.
template <int MB, int NB>
void panels(const Operation &op, const Prepared &x, int64_t rows, int64_t panel) {
    int64_t m = 0;
    for (; m + MB <= rows; m += MB) tile<MB, NB>(op, x, m, panel);
    if constexpr (MB > 4) for (; m + 4 <= rows; m += 4) tile<4, NB>(op, x, m, panel);
    if constexpr (MB > 2) for (; m + 2 <= rows; m += 2) tile<2, NB>(op, x, m, panel);
    for (; m < rows; m++) tile<1, NB>(op, x, m, panel);
}

void linear(const Operation &op, const Prepared &x, int64_t rows, int64_t thread, int64_t threads) {
    const int64_t count = (op.weight.n + LANES - 1) / LANES;
    int64_t panel = count * thread / threads;
    const int64_t end = count * (thread + 1) / threads;
    const bool whole = op.weight.format == INT8 || op.weight.format == INT4;  // two sums an output: half the tile
    if (rows >= 8 && !whole) {
        for (; panel + 2 <= end; panel += 2) panels<8, 2>(op, x, rows, panel);
    } else if (whole && rows > 1) {
        for (; panel + 2 <= end; panel += 2) panels<4, 2>(op, x, rows, panel);
    } else {
        for (; panel + 4 <= end; panel += 4) panels<4, 4>(op, x, rows, panel);
    }
    for (; panel < end; panel++) panels<4, 1>(op, x, rows, panel);
}

}  // namespace
