// RMSNorm and LayerNorm with their gradients, one pass each; see `passes.cpp`.

#include "passes.h"

namespace {

// One row of D numbers x, to unit mean square, about its mean if `CENTRED`; times the weight, plus the bias where there
// is one.
template <bool CENTRED, typename X, typename Y>
void norm_row(
    const X *x, const float *weight, const float *bias, Y *to, float *mean, float *scale, int64_t D, float epsilon
) {
    floats sums = all(0);
    if (CENTRED)
        for (int64_t i = 0; i < D; i += LANES) sums += part(x, i, D);
    *mean = CENTRED ? sum(sums) / float(D) : 0.0f;
    floats squares = all(0);
    for (int64_t i = 0; i < D; i += LANES) {
        const floats v = part(x, i, D, *mean) - *mean;
        squares = fused(v, v, squares);
    }
    *scale = 1.0f / std::sqrt(sum(squares) / float(D) + epsilon);
    for (int64_t i = 0; i < D; i += LANES) {
        const floats v = (part(x, i, D) - *mean) * *scale * part(weight, i, D);
        store_at(to, i, D, bias ? v + part(bias, i, D) : v);
    }
}

// By x, with h the row at unit mean square and u the gradient times the weight: the scale times u, less its mean if
// `CENTRED`, less h times the mean of u h. To the gradients of weight and bias are added those of this row.
template <bool CENTRED, typename X, typename Y>
void norm_backward_row(
    const Y *gradient, const X *x, const float *weight, float mean, float scale, X *to, float *by_weight, float *by_bias,
    int64_t D
) {
    floats along = all(0), level = all(0);
    for (int64_t i = 0; i < D; i += LANES) {
        const floats g = part(gradient, i, D), h = (part(x, i, D) - mean) * scale, u = g * part(weight, i, D);
        along = fused(u, h, along);
        level += u;
        store_at(by_weight, i, D, fused(g, h, part(by_weight, i, D)));
        if (by_bias) store_at(by_bias, i, D, part(by_bias, i, D) + g);
    }
    const float mean_along = sum(along) / float(D), mean_level = CENTRED ? sum(level) / float(D) : 0.0f;
    for (int64_t i = 0; i < D; i += LANES) {
        const floats h = (part(x, i, D) - mean) * scale, u = part(gradient, i, D) * part(weight, i, D);
        store_at(to, i, D, scale * (u - mean_level - h * mean_along));
    }
}

template <bool CENTRED, typename X, typename Y>
void norm_all(
    const X *x, const float *weight, const float *bias, Y *to, float *means, float *scales, int64_t N, int64_t D,
    float epsilon, int64_t threads
) {
#pragma omp parallel for num_threads(worth(N * D, threads)) schedule(static)
    for (int64_t n = 0; n < N; n++)
        norm_row<CENTRED>(x + n * D, weight, bias, to + n * D, means + n, scales + n, D, epsilon);
}

// The gradients of weight and bias are summed in parts of so many rows, then over the parts, whatever threads there are.
constexpr int64_t ROWS_OF_PART = 64;

template <bool CENTRED, typename X, typename Y>
void norm_backward_all(
    const Y *gradient, const X *x, const float *weight, const float *means, const float *scales, X *to, float *by_weight,
    float *by_bias, int64_t N, int64_t D, int64_t threads
) {
    const int64_t parts = (N + ROWS_OF_PART - 1) / ROWS_OF_PART, tables = by_bias ? 2 : 1;
    std::vector<float> sums(parts * tables * D);
#pragma omp parallel for num_threads(worth(N * D, threads)) schedule(static)
    for (int64_t p = 0; p < parts; p++) {
        float *weights = sums.data() + p * tables * D, *biases = by_bias ? weights + D : nullptr;
        for (int64_t n = p * ROWS_OF_PART; n < std::min(N, (p + 1) * ROWS_OF_PART); n++)
            norm_backward_row<CENTRED>(
                gradient + n * D, x + n * D, weight, means[n], scales[n], to + n * D, weights, biases, D
            );
    }
    for (int64_t p = 0; p < parts; p++)
        for (int64_t i = 0; i < D; i++) {
            by_weight[i] += sums[p * tables * D + i];
            if (by_bias) by_bias[i] += sums[(p * tables + 1) * D + i];
        }
}

// `work` with null pointers that tell it both types.
template <typename Work>
void typed(Type one, Type two, Work work) {
    if (one == BF16 && two == BF16) work((bfloat16 *)nullptr, (bfloat16 *)nullptr);
    else if (one == BF16) work((bfloat16 *)nullptr, (float *)nullptr);
    else if (two == BF16) work((float *)nullptr, (bfloat16 *)nullptr);
    else work((float *)nullptr, (float *)nullptr);
}

}  // namespace

extern "C" {

// Rows x [N, D] brought to unit mean square, with a bias about their mean: LayerNorm; without one: RMSNorm. Means and
// scales [N] are kept for the way back.
void thord_norm(
    Type from, Type into, const void *x, const float *weight, const float *bias, void *to, float *means, float *scales,
    int64_t N, int64_t D, float epsilon, int64_t threads
) {
    typed(from, into, [=]<typename X, typename Y>(X *, Y *) {
        if (bias) norm_all<true>((const X *)x, weight, bias, (Y *)to, means, scales, N, D, epsilon, threads);
        else norm_all<false>((const X *)x, weight, bias, (Y *)to, means, scales, N, D, epsilon, threads);
    });
}

// The gradient by x, and added to those of weight and bias [D] theirs; there is one of the bias if there is a bias.
void thord_norm_backward(
    Type from, Type into, const void *gradient, const void *x, const float *weight, const float *means,
    const float *scales, void *to, float *by_weight, float *by_bias, int64_t N, int64_t D, int64_t threads
) {
    typed(from, into, [=]<typename X, typename Y>(X *, Y *) {
        const Y *g = (const Y *)gradient;
        if (by_bias) norm_backward_all<true>(g, (const X *)x, weight, means, scales, (X *)to, by_weight, by_bias, N, D, threads);
        else norm_backward_all<false>(g, (const X *)x, weight, means, scales, (X *)to, by_weight, by_bias, N, D, threads);
    });
}

}  // extern "C"
