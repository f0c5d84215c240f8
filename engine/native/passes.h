// How a pass goes over a large tensor: in which types, by how many threads, and what is left at the end of a row.

#pragma once

#include "vectors.h"

#include <algorithm>
#include <omp.h>
#include <vector>

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

// How many threads are worth waking for so many numbers.
int64_t worth(int64_t count, int64_t threads) {
    return std::max<int64_t>(1, std::min(threads, count / WORTH_A_THREAD));
}

// `work(begin, end)` on parts of `count` numbers, as many at once as there are threads.
template <typename Work>
void share(int64_t count, int64_t threads, Work work) {
    const int64_t parts = worth(count, threads);
    const int64_t each = (count + parts * LANES - 1) / (parts * LANES) * LANES;
#pragma omp parallel for num_threads(parts) schedule(static)
    for (int64_t part = 0; part < parts; part++) work(std::min(count, part * each), std::min(count, (part + 1) * each));
}

// The LANES numbers at i of a row of `count`, filled where fewer are left; and their way back.
template <typename T>
inline floats part(const T *row, int64_t i, int64_t count, float fill = 0) {
    return i + LANES <= count ? load(row + i) : load_part(row + i, count - i, fill);
}
template <typename T>
inline void store_at(T *row, int64_t i, int64_t count, floats v) {
    if (i + LANES <= count) store(row + i, v);
    else store_part(row + i, count - i, v);
}

}  // namespace
