// Packed weights as tiles multiply them: bfloat16 as float32, whole numbers in pairs of 16 bits.

#pragma once

#include "tiles.h"

namespace {

constexpr int64_t CHUNK = 256;  // inputs at once: of a few panels they fit into the nearest cache

// Two inputs of the outputs of one vector.
struct Floats2 { floats first, second; };
inline Floats2 unpack_bf16(const bfloat16 *from) {
    const words pair = load_words(from);
    return {bits(pair << 16), bits(pair & 0xffff0000u)};
}

// Four inputs, in two pairs.
struct Shorts2 { shorts pair[2]; };
inline Shorts2 unpack_int8(const uint8_t *from) {
    const halfwords four = (halfwords)load_words(from);
    return {{(shorts)(four & 255), (shorts)(four >> 8)}};
}

// Eight inputs, in four pairs.
struct Shorts4 { shorts pair[4]; };
inline Shorts4 unpack_int4(const uint8_t *from) {
    const halfwords eight = (halfwords)load_words(from);
    return {{(shorts)(eight & 15), (shorts)(eight >> 8 & 15), (shorts)(eight >> 4 & 15), (shorts)(eight >> 12)}};
}

inline void put(void *to, const void *vector) { std::memcpy(to, vector, sizeof(floats)); }

// `count` inputs of one panel, of which `from` is the first: [count, 16], or of whole numbers [count / 2, 16, 2].
inline void unpack(const bfloat16 *from, int64_t count, float *to) {
    for (int64_t k = 0; k < count; k += 2)
        for (int p = 0; p < PARTS; p++) {
            const Floats2 two = unpack_bf16(from + k * PANEL + 2 * p * LANES);
            store(to + k * PANEL + p * LANES, two.first);
            store(to + (k + 1) * PANEL + p * LANES, two.second);
        }
}
template <int INPUTS, class Unpack>
inline void unpack_whole(const uint8_t *from, int64_t count, int16_t *to, Unpack unpack_some) {
    for (int64_t k = 0; k < count; k += INPUTS)
        for (int p = 0; p < PARTS; p++) {
            const auto some = unpack_some(from + (k / INPUTS * PANEL + p * LANES) * 4);
#pragma GCC unroll 4
            for (int i = 0; i < INPUTS / 2; i++) put(to + (k + 2 * i) * PANEL + 2 * p * LANES, &some.pair[i]);
        }
}

}  // namespace
