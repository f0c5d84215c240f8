// As many numbers at a time as the processor computes at once, what is computed of each, and how they are stored. GCC's
// and Clang's vector extensions are used, so it runs on any processor; instructions of some are named where a compiler
// does not find them.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

#if defined(__AVX512F__)
#define BYTES_OF_VECTOR 64
#elif defined(__AVX2__)
#define BYTES_OF_VECTOR 32
#else
#define BYTES_OF_VECTOR 16
#endif

constexpr int64_t LANES = BYTES_OF_VECTOR / 4;
typedef float floats __attribute__((vector_size(BYTES_OF_VECTOR)));
typedef int32_t ints __attribute__((vector_size(BYTES_OF_VECTOR)));
typedef uint32_t words __attribute__((vector_size(BYTES_OF_VECTOR)));
typedef int16_t shorts __attribute__((vector_size(BYTES_OF_VECTOR)));
typedef uint16_t halfwords __attribute__((vector_size(BYTES_OF_VECTOR)));
typedef uint64_t quads __attribute__((vector_size(BYTES_OF_VECTOR)));
typedef uint32_t half_words __attribute__((vector_size(BYTES_OF_VECTOR / 2)));  // one for each of `quads`
typedef uint16_t halves __attribute__((vector_size(BYTES_OF_VECTOR / 2)));  // one for each lane
typedef uint16_t bfloat16;

inline floats load(const float *p) { floats v; std::memcpy(&v, p, sizeof v); return v; }
inline void store(float *p, floats v) { std::memcpy(p, &v, sizeof v); }
inline floats all(float value) { return value - floats{}; }  // in every lane
inline floats bits(words w) { return (floats)w; }
inline words load_words(const void *p) { words w; std::memcpy(&w, p, sizeof w); return w; }
inline floats load(const bfloat16 *p) {
    halves h;
    std::memcpy(&h, p, sizeof h);
    return bits(__builtin_convertvector(h, words) << 16);
}
inline void store(bfloat16 *p, floats v) {  // to nearest, ties to even; NaN stays one; tiny ones may become 0
#if defined(__AVX512BF16__)
    const __m256bh h = _mm512_cvtneps_pbh((__m512)v);
#else
    const words u = (words)v;
    const words nearest = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    const halves h = __builtin_convertvector(v != v ? (u >> 16) | 0x40 : nearest, halves);
#endif
    std::memcpy(p, &h, sizeof h);
}
inline float sum(floats v) {  // in this order everywhere: halves onto each other
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#elif defined(__AVX2__)
    __m128 four = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
#else
    float total[LANES];
    store(total, v);
    for (int64_t width = LANES / 2; width; width /= 2)
        for (int64_t i = 0; i < width; i++) total[i] += total[i + width];
    return total[0];
#endif
}
inline ints nearest(floats v) {  // whole numbers, ties to even
#if defined(__AVX512F__)
    return (ints)_mm512_cvtps_epi32((__m512)v);
#elif defined(__AVX2__)
    return (ints)_mm256_cvtps_epi32((__m256)v);
#elif defined(__aarch64__)
    return (ints)vcvtnq_s32_f32((float32x4_t)v);
#else
    for (int64_t i = 0; i < LANES; i++) v[i] = std::nearbyint(v[i]);
    return __builtin_convertvector(v, ints);
#endif
}
// a * b + c in one rounding wherever the processor can. The compiler fuses nothing by itself (-ffp-contract=off): it would
// in one instance of a template and not in another, and the same token would get other numbers in another batch.
inline floats fused(floats a, floats b, floats c) {
#if defined(__AVX512F__)
    return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}
inline bfloat16 rounded(float value) {  // to nearest, ties to even; NaN stays one
    uint32_t u;
    std::memcpy(&u, &value, 4);
    if (value != value) return (u >> 16) | 0x40;
    return (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}
inline float widened(bfloat16 value) {
    uint32_t u = uint32_t(value) << 16;
    float f;
    std::memcpy(&f, &u, 4);
    return f;
}
inline floats larger(floats a, floats b) { return a > b ? a : b; }
inline floats smaller(floats a, floats b) { return a < b ? a : b; }

// e to the power of x, as in Cephes: a power of two times a polynomial of what is left, within half a power of it.
inline floats power(floats x) {
#if defined(__AVX512F__)
    // If one of two numbers is none, these two give the second.
    const floats bounded = (floats)_mm512_min_ps((__m512)all(88.0f), _mm512_max_ps((__m512)all(-87.0f), (__m512)x));
    constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    const floats n = (floats)_mm512_roundscale_ps((__m512)(bounded * 1.44269504f), mode);
#else
    const floats bounded = smaller(larger(x, all(-87.0f)), all(88.0f));
    const ints whole = nearest(bounded * 1.44269504f);
    const floats n = __builtin_convertvector(whole, floats);
#endif
    const floats r = fused(n, all(2.12194440e-4f), fused(n, all(-0.693359375f), bounded));
    floats p = all(1.9875691500e-4f);
    p = fused(p, r, all(1.3981999507e-3f));
    p = fused(p, r, all(8.3334519073e-3f));
    p = fused(p, r, all(4.1665795894e-2f));
    p = fused(p, r, all(1.6666665459e-1f));
    p = fused(p, r, all(5.0000001201e-1f));
    p = fused(p * r, r, r) + 1.0f;
#if defined(__AVX512F__)
    return (floats)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    return x != x ? x : p * bits((words)((whole + 127) << 23));
#endif
}
inline floats gelu(floats x) {  // the tanh form: x times a sigmoid
    floats inner = 0.7978845608f * (x + 0.044715f * x * x * x);
    return x / (1.0f + power(-2.0f * inner));
}

}  // namespace
