// Attention of whole rows in float32, and its gradients, as training and evaluation need them: each position looks at
// those of its document, or window, up to its own.
//
// BLOCK queries at a time, all scores of which are held. Tiles of scores that nobody looks at are left out. Each sum is
// taken in the order of positions, by one thread, so no number depends on how many threads there are. Nothing is kept for
// the way back but queries, keys and values: to compute shares again takes less time than to read them.

#include "tiles.h"

#include <algorithm>
#include <omp.h>
#include <vector>

namespace {

constexpr int64_t BLOCK = 48;  // a multiple of ROWS and of PANEL

int64_t up_to(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

}  // namespace

extern "C" {

// Numbers of heads at positions of rows: those of a head lie side by side, everything else so many numbers apart.
struct Heads {
    float *first;
    int64_t row, head, position;
};

// What is computed. `begins` [rows, positions]: the first position that each one looks at; they never fall.
struct CausalAttention {
    int64_t rows, heads, kv_heads, positions, width;
    const int64_t *begins;
    Heads queries, keys, values, mixed;                          // `mixed`: what attention makes of them
    Heads by_mixed, by_queries, by_keys, by_values;  // gradients; of these the first is given
};

}  // extern "C"

namespace {

struct Place {
    int64_t row, head, position;
};

inline float *at(const Heads &heads, const Place &place) {
    return heads.first + place.row * heads.row + place.head * heads.head + place.position * heads.position;
}

// `count` positions of a head as rows of `stride` numbers, zeros behind the `width` of a head, and zero rows up to `most`.
void gather(const Heads &from, Place place, int64_t count, int64_t width, int64_t stride, int64_t most, float *to) {
    for (int64_t i = 0; i < most; i++, place.position++) {
        const int64_t there = i < count ? width : 0;
        if (there) std::memcpy(to + i * stride, at(from, place), there * sizeof(float));
        std::memset(to + i * stride + there, 0, (stride - there) * sizeof(float));
    }
}

void scatter(const float *from, int64_t stride, int64_t count, int64_t width, const Heads &to, Place place) {
    for (int64_t i = 0; i < count; i++, place.position++)
        std::memcpy(at(to, place), from + i * stride, width * sizeof(float));
}

// Rows [count, stride] in panels of PANEL numbers: [stride / PANEL, count, PANEL].
void into_panels(const float *from, int64_t count, int64_t stride, float *to) {
    for (int64_t panel = 0; panel < stride; panel += PANEL)
        for (int64_t i = 0; i < count; i++, to += PANEL)
            std::memcpy(to, from + i * stride + panel, PANEL * sizeof(float));
}

// The same rows in panels of PANEL rows, lying across: [count / PANEL, width, PANEL].
void across(const float *from, int64_t count, int64_t stride, int64_t width, float *to) {
    for (int64_t first = 0; first < count; first += PANEL)
        for (int64_t e = 0; e < width; e++, to += PANEL)
            for (int64_t i = 0; i < PANEL; i++) to[i] = from[(first + i) * stride + e];
}

// Calls `work.template operator()<NB>(panel)` for all panels from `begin` to `end`, WIDE at a time.
template <class Work>
inline void each_panels(int64_t begin, int64_t end, Work work) {
    for (; begin + WIDE <= end; begin += WIDE) work.template operator()<WIDE>(begin);
    if constexpr (WIDE > 1)
        for (; begin < end; begin++) work.template operator()<1>(begin);
}

template <int NB>
inline void store_tile(const Tile<ROWS, NB> &acc, float *to, int64_t stride) {
    EACH_OF_TILE_OF(ROWS) store(to + m * stride + n * LANES, acc[m][n]);
}

// BLOCK queries or fewer, and the positions that any of them looks at, from `begin`, a multiple of PANEL, to `end`. Scores
// are [BLOCK, room].
struct Block {
    const int64_t *begins;  // of the first query
    int64_t start, count, begin, end, room;

    Block(const int64_t *row, int64_t start, int64_t positions)
        : begins(row + start), start(start), count(std::min(BLOCK, positions - start)),
          begin(begins[0] / PANEL * PANEL), end(start + count), room(up_to(end - begin, BLOCK)) {}

    // What the queries from the m-th on look at, of a tile, in whole panels.
    int64_t tile_begin(int64_t m) const { return begins[m] / PANEL * PANEL; }
    int64_t tile_end(int64_t m) const { return up_to(start + std::min(m + ROWS, count), PANEL); }
};

// Products of the block's rows [BLOCK, stride] with those that lie across.
void multiply(const Block &block, const float *rows, int64_t stride, const float *lying, int64_t width, float *scores) {
    for (int64_t m0 = 0; m0 < block.count; m0 += ROWS)
        each_panels(block.tile_begin(m0) / PANEL, block.tile_end(m0) / PANEL, [&]<int NB>(int64_t panel) {
            Tile<ROWS, NB> acc = {};
            const float *w = lying + panel * PANEL * width;
            tile_floats<ROWS, NB>(rows + m0 * stride, stride, w, PANEL * width, width, acc);
            store_tile<NB>(acc, scores + m0 * block.room + panel * PANEL - block.begin, block.room);
        });
}

// What each row takes from the positions, given their panels, of `positions` numbers each: rows [BLOCK, stride].
void mix(const Block &block, const float *shares, const float *panels, int64_t positions, int64_t stride, float *to) {
    for (int64_t m0 = 0; m0 < block.count; m0 += ROWS) {
        const int64_t begin = block.tile_begin(m0), end = block.tile_end(m0);
        each_panels(0, stride / PANEL, [&]<int NB>(int64_t panel) {
            Tile<ROWS, NB> acc = {};
            const float *w = panels + (panel * positions + begin) * PANEL;
            tile_floats<ROWS, NB>(
                shares + m0 * block.room + begin - block.begin, block.room, w, positions * PANEL, end - begin, acc
            );
            store_tile<NB>(acc, to + m0 * stride + panel * PANEL, stride);
        });
    }
}

// What each position takes from the rows that look at it, given their panels, is added to [positions, stride].
void add_across(const Block &block, const float *shares, const float *panels, int64_t stride, float *to) {
    int64_t last = 0;
    for (int64_t position = block.begin; position < block.end; position += ROWS) {
        const int64_t first = std::max<int64_t>(0, position - block.start);
        while (last < block.count && block.begins[last] < position + ROWS) last++;
        if (first >= last) continue;
        each_panels(0, stride / PANEL, [&]<int NB>(int64_t panel) {
            float *rows = to + position * stride + panel * PANEL;
            Tile<ROWS, NB> acc;
            EACH_OF_TILE_OF(ROWS) acc[m][n] = load(rows + m * stride + n * LANES);
            const float *from = shares + first * block.room + position - block.begin;
            const float *w = panels + (panel * BLOCK + first) * PANEL;
            tile_floats<ROWS, NB>(from, 1, w, BLOCK * PANEL, last - first, acc, block.room);
            store_tile<NB>(acc, rows, stride);
        });
    }
}

// Scores become the softmax of `scale` times those that each query looks at, and 0 elsewhere.
void softmax(const Block &block, float *scores, float scale) {
    ints lanes;
    for (int64_t i = 0; i < LANES; i++) lanes[i] = int32_t(i);
    for (int64_t m = 0; m < BLOCK; m++, scores += block.room) {
        const int64_t first = m < block.count ? block.begins[m] - block.begin : 0;
        const int64_t end = m < block.count ? block.start + m + 1 - block.begin : 0;
        const int64_t begin = first / LANES * LANES, stop = up_to(end, LANES);
        auto seen = [&](int64_t i) {
            const ints place = lanes + int32_t(i);
            return (place >= int32_t(first)) & (place < int32_t(end)) ? load(scores + i) * scale : all(-INFINITY);
        };
        floats most = all(-INFINITY), sums = all(0);
        for (int64_t i = begin; i < stop; i += LANES) most = larger(most, seen(i));
        float top = most[0];
        for (int64_t i = 1; i < LANES; i++) top = std::max(top, most[i]);
        for (int64_t i = begin; i < stop; i += LANES) {
            const floats v = seen(i), p = v == -INFINITY ? all(0) : power(v - top);
            store(scores + i, p);
            sums += p;
        }
        const float share = 1.0f / sum(sums);
        std::memset(scores, 0, begin * sizeof(float));
        for (int64_t i = begin; i < stop; i += LANES) store(scores + i, load(scores + i) * share);
        std::memset(scores + stop, 0, (block.room - stop) * sizeof(float));
    }
}

// By the scores: `scale` times each share, times what its gradient is above the mean of all by their shares.
void softmax_backward(const Block &block, float *gradient, const float *shares, float scale) {
    for (int64_t m = 0; m < BLOCK; m++, gradient += block.room, shares += block.room) {
        const int64_t begin = m < block.count ? (block.begins[m] - block.begin) / LANES * LANES : 0;
        const int64_t stop = m < block.count ? up_to(block.start + m + 1 - block.begin, LANES) : 0;
        floats sums = all(0);
        for (int64_t i = begin; i < stop; i += LANES) sums = fused(load(gradient + i), load(shares + i), sums);
        const float mean = sum(sums);
        std::memset(gradient, 0, begin * sizeof(float));
        for (int64_t i = begin; i < stop; i += LANES)
            store(gradient + i, load(shares + i) * (load(gradient + i) - mean) * scale);
        std::memset(gradient + stop, 0, (block.room - stop) * sizeof(float));
    }
}

// What a thread needs for one head of keys.
struct Room {
    int64_t stride, positions;  // of a row; in whole blocks, and a tile beyond
    std::vector<float> rows, keys, keys_across, values, values_across, by_keys, by_values;
    std::vector<float> queries, gradient, mixed, panels, shares, by_scores;

    Room(const CausalAttention &of, bool backward) : stride(up_to(of.width, PANEL)), positions(up_to(of.positions, BLOCK)) {
        for (auto *each : {&rows, &values, &keys_across}) each->resize(positions * stride);
        for (auto *each : {&queries, &mixed}) each->resize(BLOCK * stride);
        shares.resize(BLOCK * (positions + BLOCK));
        if (!backward) return;
        for (auto *each : {&keys, &values_across}) each->resize(positions * stride);
        for (auto *each : {&by_keys, &by_values}) each->resize((positions + ROWS) * stride);
        for (auto *each : {&gradient, &panels}) each->resize(BLOCK * stride);
        by_scores.resize(shares.size());
    }
};

void forward(const CausalAttention &of, int64_t row, int64_t kv_head, Room &room) {
    const int64_t width = of.width, stride = room.stride, group = of.heads / of.kv_heads;
    const float scale = 1.0f / std::sqrt(float(width));
    gather(of.keys, {row, kv_head, 0}, of.positions, width, stride, room.positions, room.rows.data());
    across(room.rows.data(), room.positions, stride, width, room.keys_across.data());
    gather(of.values, {row, kv_head, 0}, of.positions, width, stride, room.positions, room.rows.data());
    into_panels(room.rows.data(), room.positions, stride, room.values.data());
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++)
        for (int64_t start = 0; start < of.positions; start += BLOCK) {
            const Block block(of.begins + row * of.positions, start, of.positions);
            gather(of.queries, {row, head, start}, block.count, width, stride, BLOCK, room.queries.data());
            multiply(block, room.queries.data(), stride, room.keys_across.data(), width, room.shares.data());
            softmax(block, room.shares.data(), scale);
            mix(block, room.shares.data(), room.values.data(), room.positions, stride, room.mixed.data());
            scatter(room.mixed.data(), stride, block.count, width, of.mixed, {row, head, start});
        }
}

void backward(const CausalAttention &of, int64_t row, int64_t kv_head, Room &room) {
    const int64_t width = of.width, stride = room.stride, group = of.heads / of.kv_heads;
    const float scale = 1.0f / std::sqrt(float(width));
    float *shares = room.shares.data(), *by_scores = room.by_scores.data(), *panels = room.panels.data();
    gather(of.keys, {row, kv_head, 0}, of.positions, width, stride, room.positions, room.rows.data());
    across(room.rows.data(), room.positions, stride, width, room.keys_across.data());
    into_panels(room.rows.data(), room.positions, stride, room.keys.data());
    gather(of.values, {row, kv_head, 0}, of.positions, width, stride, room.positions, room.rows.data());
    across(room.rows.data(), room.positions, stride, width, room.values_across.data());
    for (auto *each : {&room.by_keys, &room.by_values}) std::fill(each->begin(), each->end(), 0.0f);
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++)
        for (int64_t start = 0; start < of.positions; start += BLOCK) {
            const Block block(of.begins + row * of.positions, start, of.positions);
            const Place place{row, head, start};
            gather(of.queries, place, block.count, width, stride, BLOCK, room.queries.data());
            gather(of.by_mixed, place, block.count, width, stride, BLOCK, room.gradient.data());
            multiply(block, room.queries.data(), stride, room.keys_across.data(), width, shares);
            softmax(block, shares, scale);
            into_panels(room.gradient.data(), BLOCK, stride, panels);
            add_across(block, shares, panels, stride, room.by_values.data());
            multiply(block, room.gradient.data(), stride, room.values_across.data(), width, by_scores);
            softmax_backward(block, by_scores, shares, scale);
            mix(block, by_scores, room.keys.data(), room.positions, stride, room.mixed.data());
            scatter(room.mixed.data(), stride, block.count, width, of.by_queries, place);
            into_panels(room.queries.data(), BLOCK, stride, panels);
            add_across(block, by_scores, panels, stride, room.by_keys.data());
        }
    scatter(room.by_keys.data(), stride, of.positions, width, of.by_keys, {row, kv_head, 0});
    scatter(room.by_values.data(), stride, of.positions, width, of.by_values, {row, kv_head, 0});
}

}  // namespace

extern "C" {

// One way, or back.
void thord_causal_attention(const CausalAttention *of, int64_t back, int64_t threads) {
#pragma omp parallel num_threads(std::max<int64_t>(1, std::min(threads, of->rows * of->kv_heads)))
    {
        Room room(*of, back);
#pragma omp for schedule(static)
        for (int64_t n = 0; n < of->rows * of->kv_heads; n++)
            (back ? backward : forward)(*of, n / of->kv_heads, n % of->kv_heads, room);
    }
}

}  // extern "C"
