// Adapters beside the products of a base: each version's tokens are multiplied by its own two thin matrices.
//
// What A makes of a product's inputs waits in `Tokens::inner`; B of that is added to what the product gave. A thread
// computes its share of A, then its panels of the base, and adds B to the same panels: by then the others are long done
// with A, so an adapter costs no barrier that is waited at. Each group is computed as if it were alone, so a token's
// numbers do not depend on which versions others belong to.

#pragma once

#include "products.h"

namespace {

// The factors of one group for one product, and its tokens. Without any, `factors` is null.
struct Adapted {
    const Factors *factors;
    int64_t begin, end;

    Adapted(const Operation &op, const Tokens &tokens, int64_t g) {
        const Group &group = tokens.groups[g];
        begin = g ? tokens.groups[g - 1].end : 0, end = group.end;
        factors = op.adapted && group.factors ? group.factors + op.adapted - 1 : nullptr;
        if (factors && (!factors->a.packed || begin == end)) factors = nullptr;
    }
};

// ``work`` with each group that has factors for the product.
template <class Work>
inline void each_adapted(const Operation &op, const Tokens &tokens, Work work) {
    for (int64_t g = 0; g < tokens.group_count; g++)
        if (const Adapted part(op, tokens, g); part.factors) work(part);
}

// The panels of A of all groups, and in which format they need the inputs of the product.
inline int64_t panels_of_a(const Operation &op, const Tokens &tokens, Format &format) {
    int64_t count = 0;
    each_adapted(op, tokens, [&](const Adapted &part) {
        count += panels_of(part.factors->a), format = part.factors->a.format;
    });
    return count;
}

// What A makes of a group's tokens: [tokens, width] in float32, and the same in bfloat16 where that is multiplied.
struct Inner {
    float *plain;
    bfloat16 *half;
    int64_t width;

    Inner(const Tokens &tokens, int64_t m) : width(tokens.inner_width) {
        plain = tokens.inner + m * width;
        half = reinterpret_cast<bfloat16 *>(tokens.inner + tokens.count * width) + m * width;
    }
};

// A of all groups, those of its panels that are from `begin` to `end`: from the prepared inputs of the product.
inline void shrink(
    const Operation &op, const Tokens &tokens, const Prepared &x, int64_t begin, int64_t end, float *sums
) {
    int64_t before = 0;
    each_adapted(op, tokens, [&](const Adapted &part) {
        const Weight &weight = part.factors->a;
        const int64_t count = panels_of(weight), rows = part.end - part.begin;
        const int64_t first = begin > before ? begin - before : 0, last = end - before < count ? end - before : count;
        before += count;
        if (first >= last) return;
        Prepared of_group = x;
        of_group.plain += part.begin * x.k;
        of_group.half += part.begin * x.k;
        const Inner inner(tokens, part.begin);
        Operation a{};
        a.weight = weight, a.finish = SET;
        a.to = inner.plain, a.to_width = inner.width;
        linear(a, of_group, rows, first, last, sums);
#if defined(__AVX512BF16__)
        if (weight.format != BF16) return;
        const int64_t until = last * PANEL < weight.n ? last * PANEL : weight.n;
        for (int64_t m = 0; m < rows; m++)
            for (int64_t r = first * PANEL; r < until; r++)
                inner.half[m * inner.width + r] = rounded(inner.plain[m * inner.width + r]);
#endif
    });
}

#if !defined(__AVX512BF16__)
// As `tile_floats`, with weights in bfloat16.
template <int MB>
inline void tile_unpacking(const float *a, int64_t a_stride, const bfloat16 *w, int64_t count, Tile<MB, 1> &acc) {
    constexpr int NB = 1;
    for (int64_t k = 0; k < count; k += 2) {
        Floats2 two[PARTS];
        for (int p = 0; p < PARTS; p++) two[p] = unpack_bf16(w + k * PANEL + 2 * p * LANES);
        EACH_OF_TILE acc[m][n] = fused(two[n].first, all(a[m * a_stride + k]), acc[m][n]);
        EACH_OF_TILE acc[m][n] = fused(two[n].second, all(a[m * a_stride + k + 1]), acc[m][n]);
    }
}
#endif

// B of MB tokens from the m-th of a group on, added to one panel of what the product gave.
template <int MB>
inline void widen_tile(
    const Operation &op, const Factors &factors, const Inner &inner, int64_t first, int64_t m0, int64_t panel
) {
    constexpr int NB = 1;
    const Span &span = factors.spans[panel];
    const int64_t at = m0 * inner.width + span.first;
    Tile<MB, 1> acc = {};
    if (factors.a.format == F32) {
        tile_floats<MB, 1>(inner.plain + at, inner.width, (const float *)factors.b + span.at, 0, span.count, acc);
    } else {
        const bfloat16 *w = (const bfloat16 *)factors.b + span.at;
#if defined(__AVX512BF16__)
        tile_halves<MB, 1>(inner.half + at, inner.width, w, 0, span.count, acc);
#else
        tile_unpacking<MB>(inner.plain + at, inner.width, w, span.count, acc);
#endif
    }
    EACH_OF_TILE {
        const int64_t output = panel * PANEL + n * LANES, there = op.weight.n - output;
        float *to = op.to + (first + m0 + m) * op.to_width + output;
        if (there >= LANES) store(to, load(to) + acc[m][n]);
        else for (int64_t i = 0; i < there; i++) to[i] += acc[m][n][i];
    }
}

// The same of `rows` tokens, MB or fewer.
template <int MB>
void widen_tile_of(
    int64_t rows, const Operation &op, const Factors &factors, const Inner &inner, int64_t first, int64_t m,
    int64_t panel
) {
    if (rows == MB) return widen_tile<MB>(op, factors, inner, first, m, panel);
    if constexpr (MB > 1) widen_tile_of<MB - 1>(rows, op, factors, inner, first, m, panel);
}

// B of all groups, added to the panels from `begin` to `end` of what the product gave.
inline void widen(const Operation &op, const Tokens &tokens, int64_t begin, int64_t end) {
    each_adapted(op, tokens, [&](const Adapted &part) {
        const Inner inner(tokens, part.begin);
        const int64_t rows = part.end - part.begin;
        for (int64_t panel = begin; panel < end; panel++) {
            if (!part.factors->spans[panel].count) continue;
            for (int64_t m = 0; m < rows; m += ROWS)
                widen_tile_of<ROWS>(rows - m < ROWS ? rows - m : ROWS, op, *part.factors, inner, part.begin, m, panel);
        }
    });
}

}  // namespace
