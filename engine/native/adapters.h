// Adapters beside the products of a base: each version's tokens are multiplied by its own two thin matrices.
//
// What A makes of a product's inputs waits in `Tokens::inner`; B of that is added to what the product gave. Each group
// is computed as if it were alone, so a token's numbers do not depend on which versions others belong to.

#pragma once

#include "products.h"

namespace {

// The prepared rows of some tokens, which begin so many numbers after those of the first.
inline Prepared from(const Prepared &x, int64_t numbers, int64_t k) {
    Prepared part = x;
    part.k = k;
    part.plain += numbers;
    part.half += numbers;
    return part;
}

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

// In which format the inputs of a product are needed for adapters; false where no group has one for it.
inline bool is_adapted(const Operation &op, const Tokens &tokens, Format &format) {
    for (int64_t g = 0; g < tokens.group_count; g++) {
        const Adapted part(op, tokens, g);
        if (part.factors) return format = part.factors->a.format, true;
    }
    return false;
}

// A of all groups: from the prepared inputs of the product into `inner`.
inline void shrink(
    const Operation &op, const Tokens &tokens, const Prepared &x, int64_t thread, int64_t threads, float *sums
) {
    each_adapted(op, tokens, [&](const Adapted &part) {
        Operation a{};
        a.weight = part.factors->a, a.finish = SET;
        a.to = tokens.inner + part.begin * tokens.inner_width, a.to_width = tokens.inner_width;
        linear(a, from(x, part.begin * x.k, x.k), part.end - part.begin, thread, threads, sums);
    });
}

// What A made, prepared for B by the threads whose tokens they are.
inline void prepare_inner(
    const Operation &op, const Tokens &tokens, const Prepared &x, int64_t thread, int64_t threads
) {
    each_adapted(op, tokens, [&](const Adapted &part) {
        const Weight &b = part.factors->b;
        const Prepared own = from(x, part.begin * padded(tokens.inner_width), padded(b.k));
        for (int64_t m = part.begin; m < part.end; m++)
            if (m % threads == thread)
                prepare_row(own, b.format, m - part.begin, tokens.inner + m * tokens.inner_width, b.k);
    });
}

// B of all groups, added to what the product gave.
inline void widen(
    const Operation &op, const Tokens &tokens, const Prepared &x, int64_t thread, int64_t threads, float *sums
) {
    each_adapted(op, tokens, [&](const Adapted &part) {
        Operation b{};
        b.weight = part.factors->b, b.finish = ADD;
        b.to = op.to + part.begin * op.to_width, b.to_width = op.to_width;
        const Prepared own = from(x, part.begin * padded(tokens.inner_width), padded(b.weight.k));
        linear(b, own, part.end - part.begin, thread, threads, sums);
    });
}

}  // namespace
