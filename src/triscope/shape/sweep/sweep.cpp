// The plane sweep of R-MVSNet in one pass: warp, variance, three GRUs, running soft-max.
//
// Channels lie last, so that a convolution broadcasts one input and multiplies it with a vector of
// output channels that stay in registers. Vectors are 16 floats wide in the language of the compiler,
// which cuts them to what the machine has. Work is dealt out by rows; statistics of the norms are
// added row by row in a fixed order, so that the answer does not depend on the number of threads.
//
// Each cell takes three passes, because its norms need the whole plane before the next step:
//   gates      preactivations of reset, update and (the part of x of) the candidate
//   candidate  adds the convolution of reset * state, whose rows are made on the way
//   state      update gate, tanh, the new state
#include <cmath>
#include <cstdint>
#include <new>
#include <thread>
#include <vector>
#include "problem.h"
#include "small_cells.h"
#include "together.h"

namespace {

struct Sweep : SmallCells {
    using SmallCells::SmallCells;

    // ---- score and running soft-max
    void scores(int plane, int from, int to) {
        for (int y = from; y < to; y++) {
            const float *rows[3] = {h3.row(y - 1), h3.row(y), h3.row(y + 1)};
            float *s = score.data + wide * y;
            for (int x = 0; x < w; x += 4) {
                v16 sums[1] = {all(p.prob_bias[0])};
                convolve4<2, 1>(sums, rows, x, prob.data());
                for (int i = 0; i < 4; i++) s[x + i] = sums[0][4 * i];
            }
            running(plane, y);
        }
    }

    void running(int plane, int y) {
        const size_t at = wide * y;
        int32_t *index = p.index + (size_t)y * w;
        for (int x = 0; x < w; x += 16) {
            v16 s = load(score.data + at + x), b = load(best.data + at + x), m = most(s, b);
            v16 t = load(sum.data + at + x);
            t = t * exponential(b - m) + exponential(s - m);
            store(sum.data + at + x, t);
            for (int i = 0; i < 16 && x + i < w; i++) {
                if (index[x + i] == plane - 1) after.data[at + x + i] = s[i];
                if (s[i] > b[i]) {
                    index[x + i] = plane;
                    before.data[at + x + i] = last.data[at + x + i];
                    after.data[at + x + i] = -INFINITY;
                }
            }
            store(best.data + at + x, m);
            store(last.data + at + x, s);
        }
    }

    template <class T> void run() {
        std::fill(p.index, p.index + (size_t)h * w, -2);
        Together together(p.threads);
        std::vector<std::thread> others;
        for (int id = 1; id < p.threads; id++)
            others.emplace_back([this, id, &together] { rows_of<T>(id, together); });
        rows_of<T>(0, together);
        for (std::thread &thread : others) thread.join();
    }

    template <class T> void rows_of(int id, Together &together) {
        const int from = (int)((int64_t)h * id / p.threads), to = (int)((int64_t)h * (id + 1) / p.threads);
        std::vector<Taps> taps(p.views - 1);
        for (Taps &t : taps) { t.at.resize(4 * w); t.share.resize(4 * w); }
        std::vector<T> cost[3], reset[3];
        std::vector<float> small[3];
        for (int i = 0; i < 3; i++) {
            cost[i].assign((size_t)(w + 2 + SLACK) * FEATURES, 0);
            reset[i].assign((size_t)(w + 2 + SLACK) * 16, 0);
            small[i].assign((size_t)(w + 2 + SLACK) * 4, 0);
        }
        for (int d = 0; d < p.planes; d++) {
            first_gates(p.depths[d], from, to, taps, cost);
            together.wait();
            first_candidate(from, to, reset);
            together.wait();
            first_state(from, to);
            together.wait();
            second_gates(from, to);
            together.wait();
            small_candidate<4>(from, to, small, 1, reset2.data, h2, out_h2.data(), out2.data);
            together.wait();
            small_state(from, to, 1, update2.data, h2, out2.data, 4);
            together.wait();
            third_gates(from, to);
            together.wait();
            small_candidate<2>(from, to, small, 2, reset3.data, h3, out_h3.data(), out3.data);
            together.wait();
            small_state(from, to, 2, update3.data, h3, out3.data, 2);
            together.wait();
            scores(d, from, to);
        }
        for (int y = from; y < to; y++) answer(y);
    }

    void answer(int y) {
        for (int x = 0; x < w; x++) {
            const size_t at = wide * y + x, out = (size_t)y * w + x, plane = (size_t)h * w;
            p.probability[out] = 1.0f / sum.data[at];
            p.around[out] = before.data[at];
            p.around[plane + out] = best.data[at];
            p.around[2 * plane + out] = after.data[at];
        }
    }
};

}  // namespace

extern "C" {

// 0: done; 1: out of memory; 2: this build has no bf16.
int triscope_sweep(const Problem *problem) {
    try {
        if (problem->bf16) {
#ifdef __AVX512BF16__
            Sweep(*problem).run<uint16_t>();
            return 0;
#else
            return 2;
#endif
        }
        Sweep(*problem).run<float>();
        return 0;
    } catch (const std::bad_alloc &) {
        return 1;
    }
}

int triscope_has_bf16() {
#ifdef __AVX512BF16__
    return 1;
#else
    return 0;
#endif
}

}
