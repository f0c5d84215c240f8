// What training does to each number of a large tensor, in one pass over memory: GELU, SwiGLU's gate, the softmax of
// attention, and cross-entropy with its gradient; norms are in `norms.cpp`. torch's own take several passes, each of
// which writes what the next one reads.
//
// Numbers are float32 or bfloat16 in memory and float32 between. Each comes out alike wherever it lies in a tensor and
// however many threads there are; of norms, softmax and cross-entropy, one thread computes a row.

#include "passes.h"

namespace {

template <typename T>
void gelu_all(const T *from, T *to, int64_t count, int64_t threads) {
    share(count, threads, [=](int64_t i, int64_t end) {
        for (; i < end; i += LANES) store_at(to, i, end, gelu(part(from, i, end)));
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
        for (; i < end; i += LANES) store_at(to, i, end, part(gradient, i, end) * gelu_slope(part(from, i, end)));
    });
}

// SwiGLU: the gate g times its sigmoid s, times the other part.
template <typename T>
void gated_all(const T *gate, const T *other, T *to, int64_t count, int64_t threads) {
    auto both = [](floats g, floats o) { return g / (1.0f + power(-g)) * o; };
    share(count, threads, [=](int64_t i, int64_t end) {
        for (; i < end; i += LANES) store_at(to, i, end, both(part(gate, i, end), part(other, i, end)));
    });
}

// By the gate: s + g s (1 - s), times the other part; by that: g s.
template <typename T>
void gated_backward_all(
    const T *gradient, const T *gate, const T *other, T *to_gate, T *to_other, int64_t count, int64_t threads
) {
    share(count, threads, [=](int64_t i, int64_t end) {
        for (; i < end; i += LANES) {
            const floats d = part(gradient, i, end), g = part(gate, i, end), o = part(other, i, end);
            const floats e = power(-g), s = 1.0f / (1.0f + e);
            store_at(to_gate, i, end, d * o * (s + g * (e * s) * s));
            store_at(to_other, i, end, d * (g * s));
        }
    });
}

inline float highest(floats v) {
    float most = v[0];
    for (int64_t i = 1; i < LANES; i++) most = std::max(most, v[i]);
    return most;
}

// One row of S scores becomes the softmax of `scale` times those from `first` to before `end`, and 0 around them.
// `powers` has room for them, in float32.
template <typename T>
void softmax_row(T *scores, float *powers, int64_t S, int64_t first, int64_t end, float scale) {
    const int64_t begin = first / LANES * LANES, stop = (end + LANES - 1) / LANES * LANES;
    ints places;
    for (int64_t i = 0; i < LANES; i++) places[i] = int32_t(i);
    auto at = [=](int64_t i) {
        const floats v = part(scores, i, S);
        const ints place = places + int32_t(i);
        return (place >= int32_t(first)) & (place < int32_t(end)) ? v * scale : all(-INFINITY);
    };
    floats most = all(-INFINITY), sums = all(0);
    for (int64_t i = begin; i < stop; i += LANES) most = larger(most, at(i));
    const float top = highest(most);
    for (int64_t i = begin; i < stop; i += LANES) {
        const floats v = at(i), p = v == -INFINITY ? all(0) : power(v - top);
        store(powers + (i - begin), p);
        sums += p;
    }
    const float share = 1.0f / sum(sums);
    std::memset(scores, 0, begin * sizeof(T));
    for (int64_t i = begin; i < stop; i += LANES) store_at(scores, i, S, load(powers + (i - begin)) * share);
    if (stop < S) std::memset(scores + stop, 0, (S - stop) * sizeof(T));
}

template <typename T>
void softmax_all(
    T *scores, const int64_t *ranges, int64_t N, int64_t R, int64_t S, int64_t heads, int64_t group, float scale,
    int64_t threads
) {
#pragma omp parallel num_threads(worth(N * R * S, threads))
    {
        std::vector<float> powers(S + LANES);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < N * R; row++) {
            const int64_t *range = ranges + 2 * (row / R / heads * (R / group) + row % R / group);
            softmax_row(scores + row * S, powers.data(), S, range[0], range[1], scale);
        }
    }
}

// By the scores: `scale` times each share, times what its gradient is above the mean of all by their shares.
template <typename T>
void softmax_backward_row(T *gradient, const T *shares, int64_t S, float scale) {
    floats sums = all(0);
    for (int64_t i = 0; i < S; i += LANES) sums = fused(part(gradient, i, S), part(shares, i, S), sums);
    const float mean = sum(sums);
    for (int64_t i = 0; i < S; i += LANES)
        store_at(gradient, i, S, part(shares, i, S) * (part(gradient, i, S) - mean) * scale);
}

template <typename T>
void softmax_backward_all(T *gradient, const T *shares, int64_t rows, int64_t S, float scale, int64_t threads) {
#pragma omp parallel for num_threads(worth(rows * S, threads)) schedule(static)
    for (int64_t row = 0; row < rows; row++) softmax_backward_row(gradient + row * S, shares + row * S, S, scale);
}

// Heads of E numbers at each of T positions of B rows, wherever those lie: so many numbers apart.
struct Heads {
    int64_t row, head, position;

    int64_t at(int64_t b, int64_t h, int64_t t) const { return b * row + h * head + t * position; }
};

// Each head turned by the cosines and sines of its position, `sign` times as far: both halves of it are the coordinates
// of points.
template <typename X>
void rotate_head(const X *x, const float *cosines, const float *sines, X *to, int64_t E, float sign) {
    const int64_t half = E / 2;
    for (int64_t i = 0; i < half; i += LANES) {
        const floats one = part(x, i, half), two = part(x + half, i, half);
        store_at(to, i, half, fused(two, part(sines, i, half) * -sign, one * part(cosines, i, half)));
        const floats cosine = part(cosines + half, i, half), sine = part(sines + half, i, half);
        store_at(to + half, i, half, fused(one, sine * sign, two * cosine));
    }
}

template <typename X>
void rotate_all(
    const X *x, Heads from, const float *cosines, const float *sines, X *to, Heads into, int64_t B, int64_t H, int64_t T,
    int64_t E, float sign, int64_t threads
) {
#pragma omp parallel for num_threads(worth(B * H * T * E, threads)) schedule(static)
    for (int64_t n = 0; n < B * T; n++)
        for (int64_t h = 0; h < H; h++) {
            const int64_t b = n / T, t = n % T;
            rotate_head(x + from.at(b, h, t), cosines + n * E, sines + n * E, to + into.at(b, h, t), E, sign);
        }
}

// Of a row of V scores the sum, and the logarithm of the sum of their powers.
struct Totals {
    float sum, log;
};

template <typename T>
Totals totals_of(const T *scores, int64_t V) {
    const int64_t whole = V / LANES * LANES, rest = V - whole;
    floats most = all(-INFINITY), sums = all(0), values = all(0);
    for (int64_t i = 0; i < whole; i += LANES) most = larger(most, load(scores + i));
    if (rest) most = larger(most, load_part(scores + whole, rest, -INFINITY));
    const float top = highest(most);
    for (int64_t i = 0; i < whole; i += LANES) {
        const floats v = load(scores + i);
        values += v;
        sums += power(v - top);
    }
    float total = sum(sums), added = sum(values);
    for (int64_t i = whole; i < V; i++) {
        const float v = load_part(scores + i, 1, 0)[0];
        added += v;
        total += power(all(v - top))[0];
    }
    return {added, top + std::log(total)};
}

// The loss of one row of V scores; in their place, `scale` times its gradient. With p the shares, s the smoothing:
// p - s / V, less 1 - s at the target.
template <typename T>
float cross_entropy_row(T *scores, int64_t V, int64_t target, float smoothing, float scale) {
    const Totals totals = totals_of(scores, V);
    const float at_target = load_part(scores + target, 1, 0)[0], evenly = smoothing * scale / float(V);
    auto gradient = [=](floats v) { return power(v - totals.log) * scale - evenly; };
    for (int64_t i = 0; i < V; i += LANES) store_at(scores, i, V, gradient(part(scores, i, V)));
    store_part(scores + target, 1, gradient(all(at_target)) - (1 - smoothing) * scale);
    return totals.log - (1 - smoothing) * at_target - smoothing * totals.sum / float(V);
}

template <typename T>
void losses_all(const T *scores, const int64_t *targets, int64_t N, int64_t V, float *losses, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < N; n++) {
        const T *row = scores + n * V;
        losses[n] = totals_of(row, V).log - load_part(row + targets[n], 1, 0)[0];
    }
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

// Scores [N, R, S] become shares. Of N, `heads` one after the other belong to one of the rows of ranges, and of R,
// `group`; each of these rows, [R / group, 2], says which score is the first one seen, and which the one after the last.
void thord_softmax(
    Type type, void *scores, const int64_t *ranges, int64_t N, int64_t R, int64_t S, int64_t heads, int64_t group,
    float scale, int64_t threads
) {
    if (type == BF16) softmax_all((bfloat16 *)scores, ranges, N, R, S, heads, group, scale, threads);
    else softmax_all((float *)scores, ranges, N, R, S, heads, group, scale, threads);
}

// The gradient by the shares [rows, S] becomes that by the scores.
void thord_softmax_backward(
    Type type, void *gradient, const void *shares, int64_t rows, int64_t S, float scale, int64_t threads
) {
    if (type == BF16) softmax_backward_all((bfloat16 *)gradient, (const bfloat16 *)shares, rows, S, scale, threads);
    else softmax_backward_all((float *)gradient, (const float *)shares, rows, S, scale, threads);
}

// Heads x [B, H, T, E], turned by cosines and sines [B, T, E]. Where they lie, and what comes of them, is said by the
// numbers from a row, a head and a position to the next.
void thord_rotate(
    Type type, const void *x, int64_t row, int64_t head, int64_t position, const float *cosines, const float *sines,
    void *to, int64_t to_row, int64_t to_head, int64_t to_position, int64_t B, int64_t H, int64_t T, int64_t E, float sign,
    int64_t threads
) {
    const Heads from = {row, head, position}, into = {to_row, to_head, to_position};
    if (type == BF16)
        rotate_all((const bfloat16 *)x, from, cosines, sines, (bfloat16 *)to, into, B, H, T, E, sign, threads);
    else rotate_all((const float *)x, from, cosines, sines, (float *)to, into, B, H, T, E, sign, threads);
}

// Losses [N] of scores [N, V], which become the gradient.
void thord_cross_entropy(
    Type type, void *scores, const int64_t *targets, int64_t N, int64_t V, float smoothing, float scale, float *losses,
    int64_t threads
) {
    if (type == BF16) cross_entropy_all((bfloat16 *)scores, targets, N, V, smoothing, scale, losses, threads);
    else cross_entropy_all((float *)scores, targets, N, V, smoothing, scale, losses, threads);
}

// Losses [N] of scores [N, V], which stay as they are.
void thord_losses(
    Type type, const void *scores, const int64_t *targets, int64_t N, int64_t V, float *losses, int64_t threads
) {
    if (type == BF16) losses_all((const bfloat16 *)scores, targets, N, V, losses, threads);
    else losses_all((const float *)scores, targets, N, V, losses, threads);
}

}  // extern "C"
