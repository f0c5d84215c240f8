// What training does to each number of a large tensor, in one pass over memory: GELU, SwiGLU's gate, and cross-entropy
// with its gradient. torch's own take several passes, each of which writes what the next one reads.
//
// Numbers are float32 or bfloat16 in memory and float32 between. Each comes out alike wherever it lies in a tensor and
// however many threads there are; of cross-entropy, one thread computes a row.

#include "vectors.h"

#include <algorithm>
#include <omp.h>

namespace {

enum Type : int64_t { F32, BF16 };

constexpr int64_t WORTH_A_THREAD = 1 << 14;  // numbers; fewer are done before another thread has woken

// The last numbers of a row, fewer than LANES: the lanes after them are filled.
template <typename T>
inline floats load_part(const T *p, int64_t count, float fill) {
    floats v = all(fill);
    for (int64_t i = 0; i < count; i++) {
        if constexpr (sizeof(T) == 2) v[i] = widened(p[i]);
        else v[i] = p[i];
    }
    return v;
}
template <typename T>
inline void store_part(T *p, int64_t count, floats v) {
    T whole[LANES];
    store(whole, v);
    std::memcpy(p, whole, count * sizeof(T));
}

// `work(begin, end)` on parts of `count` numbers, as many at once as there are threads.
template <typename Work>
void share(int64_t count, int64_t threads, Work work) {
    const int64_t parts = std::max<int64_t>(1, std::min(threads, count / WORTH_A_THREAD));
    const int64_t each = (count + parts * LANES - 1) / (parts * LANES) * LANES;
#pragma omp parallel for num_threads(parts) schedule(static)
    for (int64_t part = 0; part < parts; part++) work(std::min(count, part * each), std::min(count, (part + 1) * each));
}

template <typename T>
void gelu_all(const T *from, T *to, int64_t count, int64_t threads) {
    share(count, threads, [=](int64_t i, int64_t end) {
        for (; i + LANES <= end; i += LANES) store(to + i, gelu(load(from + i)));
        if (i < end) store_part(to + i, end - i, gelu(load_part(from + i, end - i, 0)));
    });
}

inline floats gelu_slope(floats x) {  // with s the sigmoid of twice the inner u: s + x s (1 - s) 2 u'; 1 - s = e s
    const floats square = x * x, inner = 0.7978845608f * x * (1.0f + 0.044715f * square);
    const floats slope = 0.7978845608f * (1.0f + 3 * 0.044715f * square);
    const floats e = power(-2.0f * inner), s = 1.0f / (1.0f + e);
    return s + 2.0f * x * (e * s) * s * slope;
}

template <typename T>
void gelu_backward_all(const T *gradient, const T *from, T *to, int64_t count, int64_t threads) {
    share(count, threads, [=](int64_t i, int64_t end) {
        for (; i + LANES <= end; i += LANES) store(to + i, load(gradient + i) * gelu_slope(load(from + i)));
        if (i < end) {
            const floats slope = gelu_slope(load_part(from + i, end - i, 0));
            store_part(to + i, end - i, load_part(gradient + i, end - i, 0) * slope);
        }
    });
}

// SwiGLU: the gate g times its sigmoid s, times the other part.
template <typename T>
void gated_all(const T *gate, const T *other, T *to, int64_t count, int64_t threads) {
    auto both = [](floats g, floats o) { return g / (1.0f + power(-g)) * o; };
    share(count, threads, [=](int64_t i, int64_t end) {
        for (; i + LANES <= end; i += LANES) store(to + i, both(load(gate + i), load(other + i)));
        if (i < end) store_part(to + i, end - i, both(load_part(gate + i, end - i, 0), load_part(other + i, end - i, 0)));
    });
}

// By the gate: s + g s (1 - s), times the other part; by that: g s.
template <typename T>
void gated_backward_all(
    const T *gradient, const T *gate, const T *other, T *to_gate, T *to_other, int64_t count, int64_t threads
) {
    share(count, threads, [=](int64_t i, int64_t end) {
        for (; i < end; i += LANES) {
            const bool whole = i + LANES <= end;
            auto at = [=](const T *p) { return whole ? load(p + i) : load_part(p + i, end - i, 0); };
            const floats d = at(gradient), g = at(gate), o = at(other);
            const floats e = power(-g), s = 1.0f / (1.0f + e);
            const floats by_gate = d * o * (s + g * (e * s) * s), by_other = d * (g * s);
            if (whole) store(to_gate + i, by_gate), store(to_other + i, by_other);
            else store_part(to_gate + i, end - i, by_gate), store_part(to_other + i, end - i, by_other);
        }
    });
}

// The loss of one row of V scores; in their place, `scale` times its gradient. With p the shares, s the smoothing:
// p - s / V, less 1 - s at the target.
template <typename T>
float cross_entropy_row(T *scores, int64_t V, int64_t target, float smoothing, float scale) {
    const int64_t whole = V / LANES * LANES, rest = V - whole;
    floats most = all(-INFINITY), sums = all(0), values = all(0);
    for (int64_t i = 0; i < whole; i += LANES) most = larger(most, load(scores + i));
    if (rest) most = larger(most, load_part(scores + whole, rest, -INFINITY));
    float highest = most[0];
    for (int64_t i = 1; i < LANES; i++) highest = std::max(highest, most[i]);
    for (int64_t i = 0; i < whole; i += LANES) {
        const floats v = load(scores + i);
        values += v;
        sums += power(v - highest);
    }
    float total = sum(sums), added = sum(values);
    for (int64_t i = whole; i < V; i++) {
        const float v = load_part(scores + i, 1, 0)[0];
        added += v;
        total += power(all(v - highest))[0];
    }
    const float log_total = highest + std::log(total), at_target = load_part(scores + target, 1, 0)[0];
    const float evenly = smoothing * scale / float(V);
    auto gradient = [=](floats v) { return power(v - log_total) * scale - evenly; };
    for (int64_t i = 0; i < whole; i += LANES) store(scores + i, gradient(load(scores + i)));
    if (rest) store_part(scores + whole, rest, gradient(load_part(scores + whole, rest, 0)));
    store_part(scores + target, 1, gradient(all(at_target)) - (1 - smoothing) * scale);
    return log_total - (1 - smoothing) * at_target - smoothing * added / float(V);
}

template <typename T>
void cross_entropy_all(
    T *scores, const int64_t *targets, int64_t N, int64_t V, float smoothing, float scale, float *losses, int64_t threads
) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < N; n++) losses[n] = cross_entropy_row(scores + n * V, V, targets[n], smoothing, scale);
}

}  // namespace

extern "C" {

void thord_gelu(Type type, const void *from, void *to, int64_t count, int64_t threads) {
    if (type == BF16) gelu_all((const bfloat16 *)from, (bfloat16 *)to, count, threads);
    else gelu_all((const float *)from, (float *)to, count, threads);
}

void thord_gelu_backward(
    Type type, const void *gradient, const void *from, void *to, int64_t count, int64_t threads
) {
    if (type == BF16) gelu_backward_all((const bfloat16 *)gradient, (const bfloat16 *)from, (bfloat16 *)to, count, threads);
    else gelu_backward_all((const float *)gradient, (const float *)from, (float *)to, count, threads);
}

void thord_gated(Type type, const void *gate, const void *other, void *to, int64_t count, int64_t threads) {
    if (type == BF16) gated_all((const bfloat16 *)gate, (const bfloat16 *)other, (bfloat16 *)to, count, threads);
    else gated_all((const float *)gate, (const float *)other, (float *)to, count, threads);
}

void thord_gated_backward(
    Type type, const void *gradient, const void *gate, const void *other, void *to_gate, void *to_other, int64_t count,
    int64_t threads
) {
    auto all = [=]<typename T>(T *) {
        gated_backward_all((const T *)gradient, (const T *)gate, (const T *)other, (T *)to_gate, (T *)to_other, count, threads);
    };
    if (type == BF16) all((bfloat16 *)nullptr);
    else all((float *)nullptr);
}

// Losses [N] of scores [N, V], which become the gradient.
void thord_cross_entropy(
    Type type, void *scores, const int64_t *targets, int64_t N, int64_t V, float smoothing, float scale, float *losses,
    int64_t threads
) {
    if (type == BF16) cross_entropy_all((bfloat16 *)scores, targets, N, V, smoothing, scale, losses, threads);
    else cross_entropy_all((float *)scores, targets, N, V, smoothing, scale, losses, threads);
}

}  // extern "C"
