// What a group of 32 inputs of whole numbers gives for one token: packed weights of N vectors of outputs, multiplied where
// they lie, of which `from` are the first. Sums are exact, so they equal those of many tokens.

#pragma once

#include "tiles.h"

namespace {

#if defined(BYTES_ARE_MULTIPLIED)

// To each lane: the products of four weights, without a sign, with the four bytes at `a`.
inline ints dot_bytes(ints acc, words w, const int8_t *a) {
    int32_t four;
    std::memcpy(&four, a, 4);
#if defined(__AVX512VNNI__)
    return (ints)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32(four));
#else
    return (ints)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)w, _mm256_set1_epi32(four));
#endif
}

// Vectors that share what is read of the token: as many as there are registers for their sums.
template <int N>
constexpr int TOGETHER = LANES == 16 ? N : 2;

template <int N>
inline void group_of_int8(const uint8_t *const *from, int64_t before, const Prepared &x, int64_t g, ints *total) {
    ints high[N] = {};
#pragma GCC unroll 8
    for (int64_t k = 0; k < GROUP; k += 4)
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) {
            const words w = load_words(from[n] + before + k * PANEL);
            high[n] = dot_bytes(high[n], w, x.high + g * GROUP + k);
            total[n] = dot_bytes(total[n], w, x.low + g * GROUP + k);
        }
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) total[n] += high[n] << 8;
}

template <int N>
inline void group_of_int4(const uint8_t *const *from, int64_t before, const Prepared &x, int64_t g, ints *total) {
    ints high[N] = {}, high_16[N] = {}, low_16[N] = {};  // of weights in the upper halves: 16 times as large
#pragma GCC unroll 4
    for (int64_t k = 0; k < GROUP; k += 8)
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) {
            const words w = load_words(from[n] + before + k * PANEL / 2);
            const words first = w & 0x0f0f0f0f, second = w & 0xf0f0f0f0;
            high[n] = dot_bytes(high[n], first, x.high + g * GROUP + k);
            total[n] = dot_bytes(total[n], first, x.low + g * GROUP + k);
            high_16[n] = dot_bytes(high_16[n], second, x.high + g * GROUP + k + 4);
            low_16[n] = dot_bytes(low_16[n], second, x.low + g * GROUP + k + 4);
        }
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) total[n] += ((high[n] + (high_16[n] >> 4)) << 8) + (low_16[n] >> 4);
}

#else

template <int N>
constexpr int TOGETHER = 1;

template <int N>
inline void group_of_int8(const uint8_t *const *from, int64_t before, const Prepared &x, int64_t g, ints *total) {
#pragma GCC unroll 8
    for (int64_t k = 0; k < GROUP; k += 4) {
        const halfwords four = (halfwords)load_words(*from + before + k * PANEL);
        const int16_t *a = x.whole + g * GROUP + k;
        *total += dot(dot(ints{}, (shorts)(four & 255), a), (shorts)(four >> 8), a + 2);  // a short chain
    }
}

// Masked where they lie, weights are 16 or 256 times as large: sums of a group have room for that.
template <int N>
inline void group_of_int4(const uint8_t *const *from, int64_t before, const Prepared &x, int64_t g, ints *total) {
    ints sum = {}, sum_16 = {}, sum_256 = {};
#pragma GCC unroll 4
    for (int64_t k = 0; k < GROUP; k += 8) {
        const halfwords eight = (halfwords)load_words(*from + before + k * PANEL / 2);
        const int16_t *a = x.whole + g * GROUP + k;
        sum = dot(sum, (shorts)(eight & 0xf), a);
        sum_256 = dot(sum_256, (shorts)(eight & 0xf00), a + 2);
        sum_16 = dot(sum_16, (shorts)(eight & 0xf0), a + 4);
        sum = dot(sum, (shorts)(eight >> 12), a + 6);
    }
    *total += sum + (sum_16 >> 4) + (sum_256 >> 8);
}

#endif

}  // namespace
