// Sixteen numbers at a time, what is computed of each, and how they are stored. GCC's and Clang's vector extensions are
// used, so it runs on any processor.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t LANES = 16;
typedef float floats __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));
typedef uint32_t words __attribute__((vector_size(64)));
typedef uint16_t halves __attribute__((vector_size(32)));
typedef uint16_t bfloat16;

inline floats load(const float *p) { floats v; std::memcpy(&v, p, 64); return v; }
inline void store(float *p, floats v) { std::memcpy(p, &v, 64); }
inline floats all(float value) { return value - floats{}; }  // in every lane
inline floats bits(words w) { floats v; std::memcpy(&v, &w, 64); return v; }
inline words load_words(const void *p) { words w; std::memcpy(&w, p, 64); return w; }
inline floats load(const bfloat16 *p) {
    halves h;
    std::memcpy(&h, p, 32);
    return bits(__builtin_convertvector(h, words) << 16);
}
inline void store(bfloat16 *p, floats v) {  // to nearest, ties to even; NaN stays one; tiny ones may become 0
#if defined(__AVX512BF16__)
    const __m256bh h = _mm512_cvtneps_pbh((__m512)v);
#else
    words u;
    std::memcpy(&u, &v, 64);
    const words nearest = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    const halves h = __builtin_convertvector(v != v ? (u >> 16) | 0x40 : nearest, halves);
#endif
    std::memcpy(p, &h, 32);
}
inline float sum(floats v) {  // in this order everywhere: halves onto each other
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    float total[LANES];
    store(total, v);
    for (int64_t width = LANES / 2; width; width /= 2)
        for (int64_t i = 0; i < width; i++) total[i] += total[i + width];
    return total[0];
#endif
}
// a * b + c in one rounding wherever the processor can. The compiler fuses nothing by itself (-ffp-contract=off): it would
// in one instance of a template and not in another, and the same token would get other numbers in another batch.
inline floats fused(floats a, floats b, floats c) {
#if defined(__AVX512F__)
    return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    for (int64_t i = 0; i < LANES; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
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
    constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    const floats n = (floats)_mm512_roundscale_ps((__m512)(bounded * 1.44269504f), nearest);
#else
    const floats bounded = smaller(larger(x, all(-87.0f)), all(88.0f));
    const ints whole = __builtin_convertvector(bounded * 1.44269504f + (bounded > 0 ? all(0.5f) : all(-0.5f)), ints);
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
