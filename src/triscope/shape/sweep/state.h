// What the cells keep from plane to plane, and their packed weights.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>
#include "maps.h"
#include "packing.h"
#include "problem.h"

namespace {

struct State {
    const Problem &p;
    const int h, w;
    std::vector<float> gate_x1, gate_h1, out_h1, gate_x2, gate_h2, out_h2, gate_x3, gate_h3, out_h3, prob;
    Map h1, h2, h3;
    std::vector<uint16_t> half1;  // h1 in bf16, same layout
    Buffer gates1, out1, reset2, update2, out2, reset3, update3, out3, score, best, sum, before, after, last;
    std::vector<Sums> resets, updates, outs;
    size_t wide;  // pixels of a row of the buffers

    explicit State(const Problem &problem)
        : p(problem), h(problem.height), w(problem.width), resets(h), updates(h), outs(h) {
        wide = w + SLACK;
        pack_weights();
        h1.make(h, w, 16); h2.make(h, w, 4); h3.make(h, w, 4);
        gates1.make(wide * h * 32); out1.make(wide * h * 16);
        for (Buffer *b : {&reset2, &update2, &out2, &reset3, &update3, &out3}) b->make(wide * h * 4);
        for (Buffer *b : {&score, &best, &sum, &before, &after, &last}) b->make(wide * h);
        for (Buffer *b : {&best, &before, &after, &last})
            std::fill(b->data, b->data + b->size, -INFINITY);
        if (p.bf16) half1.assign(h1.size, 0);
    }

    void pack_weights() {
        // First cell: lanes of reset, update, candidate in three vectors.
        gate_x1 = weights_of({3, 1}, 32);
        pack(gate_x1, {3, 1}, p.gate[0], 48, 0, 32, 0, 32, 0);
        pack(gate_x1, {3, 1}, p.output[0], 48, 0, 32, 0, 16, 32);
        gate_h1 = weights_of({2, 1}, 16);
        pack(gate_h1, {2, 1}, p.gate[0], 48, 32, 16, 0, 32, 0);
        out_h1 = weights_of({1, 1}, 16);
        pack(out_h1, {1, 1}, p.output[0], 48, 32, 16, 0, 16, 0);
        // Second cell: 4 lanes each of reset, update, candidate.
        gate_x2 = weights_of({1, 1}, 16);
        pack(gate_x2, {1, 1}, p.gate[1], 20, 0, 16, 0, 8, 0);
        pack(gate_x2, {1, 1}, p.output[1], 20, 0, 16, 0, 4, 8);
        gate_h2 = weights_of({1, 1}, 4);
        pack(gate_h2, {1, 1}, p.gate[1], 20, 16, 4, 0, 8, 0);
        out_h2 = weights_of({1, 4}, 4);
        pack(out_h2, {1, 4}, p.output[1], 20, 16, 4, 0, 4, 0);
        // Third cell: reset and update share the 4 lanes of a pixel, the candidate has 2.
        gate_x3 = weights_of({2, 4}, 4);
        pack(gate_x3, {2, 4}, p.gate[2], 6, 0, 4, 0, 4, 0);
        pack(gate_x3, {2, 4}, p.output[2], 6, 0, 4, 0, 2, 4);
        gate_h3 = weights_of({1, 4}, 2);
        pack(gate_h3, {1, 4}, p.gate[2], 6, 4, 2, 0, 4, 0);
        out_h3 = weights_of({1, 4}, 2);
        pack(out_h3, {1, 4}, p.output[2], 6, 4, 2, 0, 2, 0);
        prob = weights_of({1, 4}, 2);
        pack(prob, {1, 4}, p.prob, 2, 0, 2, 0, 1, 0);
        if (p.bf16) {
            gate_x1 = pairs_of(gate_x1, 32, 48);
            gate_h1 = pairs_of(gate_h1, 16, 32);
            out_h1 = pairs_of(out_h1, 16, 16);
        }
    }
};

}  // namespace
