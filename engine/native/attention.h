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
void remember(const Operation &op, const Tokens &tokens, void *cache, int64_t m) {
    const int64_t position = tokens.positions[m];
    const int64_t page = tokens.table[tokens.rows[m] * tokens.table_width + position / PAGE];
    float *query = op.from + m * op.from_width;
    float *key = query + op.heads * op.head, *value = key + op.kv_heads * op.head;
    for (int64_t h = 0; h < op.heads; h++) turn(op, query + h * op.head, position, op.query_norm);
    for (int64_t h = 0; h < op.kv_heads; h++) {
        turn(op, key + h * op.head, position, op.key_norm);
        const int64_t place = page * op.page_stride + (h * PAGE + position % PAGE) * op.head;
        keep(static_cast<Element *>(cache) + op.keys_at + place, key + h * op.head, op.head);
        keep(static_cast<Element *>(cache) + op.values_at + place, value + h * op.head, op.head);
    }
}

// Which positions of a row a head of a token may look at.
struct Seen {
    const int64_t *pages;
    int64_t head;  // where the head begins in a page, in numbers
    int64_t begin, count;
};

inline Seen seen(const Operation &op, const Tokens &tokens, int64_t h, int64_t m) {
    const int64_t position = tokens.positions[m];
    const int64_t begin = op.window && position >= op.window ? position - op.window + 1 : 0;
    const int64_t *pages = tokens.table + tokens.rows[m] * tokens.table_width;
    return {pages, h / (op.heads / op.kv_heads) * PAGE * op.head, begin, position + 1 - begin};
}

// Positions that lie side by side, from the one that is looked at as number `from`, and where keys or values begin.
// What comes next may be of another version, whose cache lies elsewhere: then something is fetched in vain.
template <class Element>
struct Stretch {
    const Element *start, *next;  // `next`: of what the thread looks at after this, to be fetched meanwhile
    int64_t count;

    Stretch(const Operation &op, const Element *base, const Seen &here, const Seen &after, int64_t from) {
        const int64_t position = here.begin + from, inside = position % PAGE;
        start = base + here.pages[position / PAGE] * op.page_stride + here.head + inside * op.head;
        count = PAGE - inside < here.count - from ? PAGE - inside : here.count - from;
        const int64_t later = after.begin + (from < after.count ? from : 0);
        next = base + after.pages[later / PAGE] * op.page_stride + after.head + later % PAGE * op.head;
    }
};

// Has NV vectors come into the cache. Each head of each row lies elsewhere, so the processor does not foresee the next.
template <int NV, class Element>
inline void fetch(const Element *from) {
    constexpr int64_t BYTES = NV * LANES * sizeof(Element);
    for (int64_t at = 0; at < BYTES; at += 64) __builtin_prefetch(reinterpret_cast<const char *>(from) + at);
}

constexpr int MOST_HEADS = 4;  // that are computed together

// How many heads of one token are computed together: those that share keys and values, which are then read once, but not
// so many that threads wait for each other. No number depends on it.
int heads_together(const Operation &op, int64_t tokens, int64_t threads) {
    int best = 1;
    int64_t least = INT64_MAX;
    for (int together = 1; together <= MOST_HEADS; together++) {
        if (op.heads / op.kv_heads % together) continue;
        const int64_t each = (tokens * op.heads / together + threads - 1) / threads;  // for one thread
        const int64_t cost = each * (together + 1);  // to read and widen a key costs about what a head does with it
        if (cost <= least) best = together, least = cost;
    }
    return best;
}

// What G heads take from the values in NV vectors of a head, from the v-th on: side by side, because each sum waits for
// the one before. Of each head, scores are so much `room` after those of the one before.
template <int G, int NV, class Element>
void mix(
    const Operation &op, const Element *layer, const Seen &here, const Seen &after, const float *scores, int64_t room,
    int64_t v, const float (&totals)[G], float *to
) {
    floats mixed[G][NV] = {};
    for (int64_t s = 0; s < here.count;) {
        const Stretch<Element> part(op, layer, here, after, s);
        const Element *values = part.start + v * LANES, *next = part.next + v * LANES;
        for (int64_t i = 0; i < part.count; i++, s++) {
            fetch<NV>(next + i * op.head);
            floats value[NV];
#pragma GCC unroll 4
            for (int n = 0; n < NV; n++) value[n] = load(values + i * op.head + n * LANES);
#pragma GCC unroll 4
            for (int g = 0; g < G; g++)
#pragma GCC unroll 4
                for (int n = 0; n < NV; n++) mixed[g][n] = fused(all(scores[g * room + s]), value[n], mixed[g][n]);
        }
    }
    for (int g = 0; g < G; g++)
        for (int n = 0; n < NV; n++) store(to + g * op.head + (v + n) * LANES, mixed[g][n] / all(totals[g]));
}

// G heads from the h-th on, which share keys and values. `after`: what the thread looks at after this.
template <int G, class Element>
void attend(
    const Operation &op, const void *cache, int64_t m, int64_t h, const Seen &here, const Seen &after, float *scores,
    int64_t room
) {
    const Element *keys = static_cast<const Element *>(cache) + op.keys_at;
    const Element *values = static_cast<const Element *>(cache) + op.values_at;
    const int64_t width = op.head, vectors = width / LANES, count = here.count;
    const float *query = op.from + m * op.from_width + h * width;
    const float shrink = 1.0f / std::sqrt(float(width));
    float most[G], totals[G];
    for (int g = 0; g < G; g++) most[g] = -INFINITY;
    for (int64_t s = 0; s < count;) {
        const Stretch<Element> part(op, keys, here, after, s);
        for (int64_t i = 0; i < part.count; i++, s++) {
            floats products[G] = {};
            for (int64_t v = 0; v < vectors; v++) {
                fetch<1>(part.next + i * width + v * LANES);
                const floats key = load(part.start + i * width + v * LANES);
#pragma GCC unroll 4
                for (int g = 0; g < G; g++) products[g] = fused(load(query + g * width + v * LANES), key, products[g]);
            }
#pragma GCC unroll 4
            for (int g = 0; g < G; g++) {
                const float score = sum(products[g]) * shrink;
                scores[g * room + s] = score;
                most[g] = score > most[g] ? score : most[g];
            }
        }
    }
    for (int g = 0; g < G; g++) {
        float *own = scores + g * room;
        for (int64_t s = count; s % LANES; s++) own[s] = -INFINITY;
        floats shares = {};
        for (int64_t s = 0; s < count; s += LANES) {
            floats share = power(load(own + s) - most[g]);
            for (int64_t i = count - s; i < LANES; i++) share[i] = 0.0f;
            store(own + s, share);
            shares += share;
        }
        totals[g] = sum(shares);
    }
    float *to = op.to + m * op.to_width + h * width;
    int64_t v = 0;
    for (; v + 4 <= vectors; v += 4) mix<G, 4, Element>(op, values, here, after, scores, room, v, totals, to);
    for (; v < vectors; v++) mix<G, 1, Element>(op, values, here, after, scores, room, v, totals, to);
}

template <class Element>
void attend(
    int together, const Operation &op, const void *cache, int64_t m, int64_t h, const Seen &here, const Seen &after,
    float *scores, int64_t room
) {
    switch (together) {
        case 4: return attend<4, Element>(op, cache, m, h, here, after, scores, room);
        case 3: return attend<3, Element>(op, cache, m, h, here, after, scores, room);
        case 2: return attend<2, Element>(op, cache, m, h, here, after, scores, room);
        default: return attend<1, Element>(op, cache, m, h, here, after, scores, room);
    }
}

}  // namespace
