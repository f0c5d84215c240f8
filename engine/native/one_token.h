// What a group of 32 inputs of whole numbers gives for one token: packed weights of one vector of outputs, multiplied
// where they lie. Sums are exact, so they equal those of many tokens.

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

inline ints group_of_int8(const uint8_t *from, const Prepared &x, int64_t g) {
    ints high = {}, low = {};
#pragma GCC unroll 8
    for (int64_t k = 0; k < GROUP; k += 4) {
        const words w = load_words(from + k * PANEL);
        high = dot_bytes(high, w, x.high + g * GROUP + k);
        low = dot_bytes(low, w, x.low + g * GROUP + k);
    }
    return (high << 8) + low;
}

inline ints group_of_int4(const uint8_t *from, const Prepared &x, int64_t g) {
    ints high = {}, low = {}, high_16 = {}, low_16 = {};  // of weights in the upper halves: 16 times as large
#pragma GCC unroll 4
    for (int64_t k = 0; k < GROUP; k += 8) {
        const words w = load_words(from + k * PANEL / 2);
        const words first = w & 0x0f0f0f0f, second = w & 0xf0f0f0f0;
        high = dot_bytes(high, first, x.high + g * GROUP + k);
        low = dot_bytes(low, first, x.low + g * GROUP + k);
        high_16 = dot_bytes(high_16, second, x.high + g * GROUP + k + 4);
        low_16 = dot_bytes(low_16, second, x.low + g * GROUP + k + 4);
    }
    return ((high + (high_16 >> 4)) << 8) + low + (low_16 >> 4);
}

#else

inline ints group_of_int8(const uint8_t *from, const Prepared &x, int64_t g) {
    ints total = {};
#pragma GCC unroll 8
    for (int64_t k = 0; k < GROUP; k += 4) {
        const halfwords four = (halfwords)load_words(from + k * PANEL);
        const int16_t *a = x.whole + g * GROUP + k;
        total += dot(dot(ints{}, (shorts)(four & 255), a), (shorts)(four >> 8), a + 2);  // a short chain
    }
    return total;
}

// Masked where they lie, weights are 16 or 256 times as large: sums of a group have room for that.
inline ints group_of_int4(const uint8_t *from, const Prepared &x, int64_t g) {
    ints sum = {}, sum_16 = {}, sum_256 = {};
#pragma GCC unroll 4
    for (int64_t k = 0; k < GROUP; k += 8) {
        const halfwords eight = (halfwords)load_words(from + k * PANEL / 2);
        const int16_t *a = x.whole + g * GROUP + k;
        sum = dot(sum, (shorts)(eight & 0xf), a);
        sum_256 = dot(sum_256, (shorts)(eight & 0xf00), a + 2);
        sum_16 = dot(sum_16, (shorts)(eight & 0xf0), a + 4);
        sum = dot(sum, (shorts)(eight >> 12), a + 6);
    }
    return sum + (sum_16 >> 4) + (sum_256 >> 8);
}

#endif

}  // namespace
