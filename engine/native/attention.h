// Attention of one token: its keys and values go into the cache, then each head looks at what it may see there.

#pragma once

#include "operations.h"
#include "vectors.h"

namespace {

void turn(const Operation &op, float *head, int64_t position, const float *norm) {
    const int64_t width = op.head, half = width / 2;
    if (norm) {
        float squares = 0;
        for (int64_t i = 0; i < width; i++) squares += head[i] * head[i];
        const float factor = 1.0f / std::sqrt(squares / width + op.epsilon);
        for (int64_t i = 0; i < width; i++) head[i] *= factor * norm[i];
    }
    if (op.cosines) {
        const float *cosine = op.cosines + position * half, *sine = op.sines + position * half;
        for (int64_t i = 0; i < half; i++) {
            const float a = head[i], b = head[i + half];
            head[i] = a * cosine[i] - b * sine[i];
            head[i + half] = b * cosine[i] + a * sine[i];
        }
    }
}

inline void keep(float *to, const float *x, int64_t width) { std::memcpy(to, x, width * sizeof(float)); }
inline void keep(bfloat16 *to, const float *x, int64_t width) {
    for (int64_t i = 0; i < width; i++) to[i] = rounded(x[i]);
}

// Queries, keys and values of one token: turned by position; keys and values go into the cache.
template <class Element>
void remember(const Operation &op, int64_t m, int64_t row, int64_t position) {
    float *query = op.from + m * op.from_width;
    float *key = query + op.heads * op.head, *value = key + op.kv_heads * op.head;
    for (int64_t h = 0; h < op.heads; h++) turn(op, query + h * op.head, position, op.query_norm);
    for (int64_t h = 0; h < op.kv_heads; h++) {
        turn(op, key + h * op.head, position, op.key_norm);
        const int64_t place = ((row * op.kv_heads + h) * op.length + position) * op.head;
        keep(static_cast<Element *>(op.keys) + place, key + h * op.head, op.head);
        keep(static_cast<Element *>(op.values) + place, value + h * op.head, op.head);
    }
}

// Where keys and values of the positions lie that a token may look at.
struct Seen {
    int64_t place, count;
};

inline Seen seen(const Operation &op, int64_t h, int64_t row, int64_t position) {
    const int64_t begin = op.window && position >= op.window ? position - op.window + 1 : 0;
    const int64_t group = row * op.kv_heads + h / (op.heads / op.kv_heads);
    return {(group * op.length + begin) * op.head, position + 1 - begin};
}

// Has NV vectors come into the cache. Each head of each row lies elsewhere, so the processor does not foresee the next.
template <int NV, class Element>
inline void fetch(const Element *from) {
    constexpr int64_t BYTES = NV * LANES * sizeof(Element);
    for (int64_t at = 0; at < BYTES; at += 64) __builtin_prefetch(reinterpret_cast<const char *>(from) + at);
}

// What attention takes from the values in NV vectors of a head: side by side, because each sum waits for the one before.
template <int NV, class Element>
void mix(const Element *values, const Element *next, const float *scores, int64_t count, int64_t width, floats total,
         float *to) {
    floats mixed[NV] = {};
    for (int64_t s = 0; s < count; s++) {
        fetch<NV>(next + s * width);
        const floats score = all(scores[s]);
        for (int v = 0; v < NV; v++) mixed[v] = fused(score, load(values + s * width + v * LANES), mixed[v]);
    }
    for (int v = 0; v < NV; v++) store(to + v * LANES, mixed[v] / total);
}

// `next`: what the thread looks at after this.
template <class Element>
void attend(const Operation &op, int64_t m, int64_t h, const Seen &here, const Seen &next, float *scores) {
    const int64_t width = op.head, vectors = width / LANES, count = here.count;
    const Element *keys = static_cast<const Element *>(op.keys) + here.place;
    const Element *values = static_cast<const Element *>(op.values) + here.place;
    const Element *next_keys = static_cast<const Element *>(op.keys) + next.place;
    const Element *next_values = static_cast<const Element *>(op.values) + next.place;
    const float *query = op.from + m * op.from_width + h * width;
    const float shrink = 1.0f / std::sqrt(float(width));
    float most = -INFINITY;
    for (int64_t s = 0; s < count; s++) {
        floats products = {};
        for (int64_t v = 0; v < vectors; v++) {
            fetch<1>(next_keys + s * width + v * LANES);
            products = fused(load(query + v * LANES), load(keys + s * width + v * LANES), products);
        }
        scores[s] = sum(products) * shrink;
        most = scores[s] > most ? scores[s] : most;
    }
    for (int64_t s = count; s % LANES; s++) scores[s] = -INFINITY;
    floats totals = {};
    for (int64_t s = 0; s < count; s += LANES) {
        floats share = power(load(scores + s) - most);
        for (int64_t i = count - s; i < LANES; i++) share[i] = 0.0f;
        store(scores + s, share);
        totals += share;
    }
    const floats total = all(sum(totals));
    float *to = op.to + m * op.to_width + h * width;
    int64_t v = 0;
    for (; v + 4 <= vectors; v += 4) mix<4>(values + v * LANES, next_values + v * LANES, scores, count, width, total, to + v * LANES);
    for (; v < vectors; v++) mix<1>(values + v * LANES, next_values + v * LANES, scores, count, width, total, to + v * LANES);
}

}  // namespace
