// What is computed at once in the registers: MB tokens by NB panels of 16 outputs.
//
// Each sum is taken in one order, whatever the tile: over k one after the other, or, of whole numbers, exactly within a
// chunk and then over the chunks.

#pragma once

#include "weights.h"

namespace {

constexpr int PARTS = PANEL / LANES;  // vectors of a panel
#if defined(__AVX512F__)              // 32 registers
constexpr int ROWS = 8, WIDE = 2;     // the tile of many tokens
#else                                 // 16
constexpr int ROWS = 6, WIDE = 1;
#endif

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define BYTES_ARE_MULTIPLIED
#endif

// Activations as a product reads them.
struct Prepared {
    int64_t k;         // padded
    float *plain;      // [M, k]
    bfloat16 *half;    // [M, k], where there are products of bfloat16
    int16_t *whole;    // [M, k]: steps of `scales`
    int8_t *high, *low;  // [k]: the same of a single token in two bytes, in the order of packed weights
    int32_t *sums;     // [M, k / GROUP] of `whole`, for weights that are stored with an offset
    float *scales;     // [M]
};

template <int MB, int NB, class Vector = floats>
using Tile = Vector[MB][NB * PARTS];

// `work(m, n)` for all of a tile, unrolled: the tile stays in the registers.
#define EACH_OF_TILE EACH_OF_TILE_OF(MB)
#define EACH_OF_TILE_OF(ROWS)        \
    _Pragma("GCC unroll 8")          \
    for (int m = 0; m < ROWS; m++)   \
        _Pragma("GCC unroll 16")     \
        for (int n = 0; n < NB * PARTS; n++)

// Adds the products of `count` inputs. Rows of `a` and panels of `w` begin so many numbers after each other, inputs of `a`
// `a_step`.
template <int MB, int NB>
inline void tile_floats(
    const float *a, int64_t a_stride, const float *w, int64_t w_stride, int64_t count, Tile<MB, NB> &acc,
    int64_t a_step = 1
) {
    for (int64_t k = 0; k < count; k++) {
        floats column[NB * PARTS];
#pragma GCC unroll 16
        for (int n = 0; n < NB * PARTS; n++)
            column[n] = load(w + n / PARTS * w_stride + k * PANEL + n % PARTS * LANES);
        EACH_OF_TILE acc[m][n] = fused(column[n], all(a[m * a_stride + k * a_step]), acc[m][n]);
    }
}

#if defined(__AVX512BF16__)
// The same with two inputs a step, in bfloat16.
template <int MB, int NB>
inline void tile_halves(
    const bfloat16 *a, int64_t a_stride, const bfloat16 *w, int64_t w_stride, int64_t count, Tile<MB, NB> &acc
) {
    for (int64_t k = 0; k < count; k += 2) {
#pragma GCC unroll 4
        for (int n = 0; n < NB; n++) {
            const __m512bh pair = (__m512bh)load_words(w + n * w_stride + k * PANEL);
            // Many rows compute longer than one pair takes to come; the panels after these come meanwhile.
            if constexpr (MB >= 5) __builtin_prefetch(w + (NB + n) * w_stride + k * PANEL, 0, 2);
#pragma GCC unroll 8
            for (int m = 0; m < MB; m++) {
                int32_t both;
                std::memcpy(&both, a + m * a_stride + k, 4);
                acc[m][n] = (floats)_mm512_dpbf16_ps((__m512)acc[m][n], pair, (__m512bh)_mm512_set1_epi32(both));
            }
        }
    }
}
#endif

// To each lane: the products of two weights of 16 bits with the two at `a`.
inline ints dot(ints acc, shorts w, const int16_t *a) {
    int32_t pair;
    std::memcpy(&pair, a, 4);
#if defined(__AVX512VNNI__)
    return (ints)_mm512_dpwssd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32(pair));
#elif defined(__AVX512BW__)
    return acc + (ints)_mm512_madd_epi16((__m512i)w, _mm512_set1_epi32(pair));
#elif defined(__AVXVNNI__)
    return (ints)_mm256_dpwssd_avx_epi32((__m256i)acc, (__m256i)w, _mm256_set1_epi32(pair));
#elif defined(__AVX2__)
    return acc + (ints)_mm256_madd_epi16((__m256i)w, _mm256_set1_epi32(pair));
#elif defined(__aarch64__)
    const int16x8_t weights = (int16x8_t)w, both = vreinterpretq_s16_s32(vdupq_n_s32(pair));
    const int32x4_t low = vmull_s16(vget_low_s16(weights), vget_low_s16(both)), high = vmull_high_s16(weights, both);
    return acc + (ints)vpaddq_s32(low, high);
#else
    for (int64_t i = 0; i < LANES; i++) acc[i] += w[2 * i] * a[0] + w[2 * i + 1] * a[1];
    return acc;
#endif
}

// The same of whole numbers, two inputs a step.
template <int MB, int NB>
inline void tile_whole(
    const int16_t *a, int64_t a_stride, const int16_t *w, int64_t w_stride, int64_t count, Tile<MB, NB, ints> &total
) {
    for (int64_t k = 0; k < count; k += 2) {
        shorts column[NB * PARTS];
#pragma GCC unroll 16
        for (int n = 0; n < NB * PARTS; n++)
            column[n] = (shorts)load_words(w + n / PARTS * w_stride + k * PANEL + n % PARTS * LANES * 2);
        EACH_OF_TILE total[m][n] = dot(total[m][n], column[n], a + m * a_stride + k);
    }
}

}  // namespace
