// The second and the third cell: 4 and 2 channels; 4 pixels lie in one vector.
#pragma once
#include <cstring>
#include <vector>
#include "first_cell.h"

namespace {

struct SmallCells : FirstCell {
    using FirstCell::FirstCell;

    // ---- second cell: lanes 0-3 reset, 4-7 update, 8-11 candidate
    void second_gates(int from, int to) {
        v16 bias = lanes_of(p.gate_bias[1], 8) + lanes_of(p.output_bias[1], 4, 8);
        for (int y = from; y < to; y++) {
            const float *rows[3] = {h1.row(y - 1), h1.row(y), h1.row(y + 1)};
            const float *states[3] = {h2.row(y - 1), h2.row(y), h2.row(y + 1)};
            v16 s[2] = {};
            for (int x = 0; x < w; x += TILE1) {
                v16 sums[TILE1][1];
                for (int i = 0; i < TILE1; i++) sums[i][0] = bias;
                convolve<TILE1, 1, 1>(sums, rows, x, 16, gate_x2.data());
                convolve<TILE1, 1, 1>(sums, states, x, 4, gate_h2.data());
                for (int i = 0; i < TILE1 && x + i < w; i++) {
                    const size_t at = (wide * y + x + i) * 4;
                    std::memcpy(reset2.data + at, &sums[i][0], 16);
                    std::memcpy(update2.data + at, (float *)&sums[i][0] + 4, 16);
                    std::memcpy(out2.data + at, (float *)&sums[i][0] + 8, 16);
                    s[0] += sums[i][0]; s[1] += sums[i][0] * sums[i][0];
                }
            }
            resets[y] = {total(s[0], 0, 4), total(s[1], 0, 4)};
            updates[y] = {total(s[0], 4, 8), total(s[1], 4, 8)};
        }
    }

    // reset * state of a row of 4 channels; beyond the row the states are zeros, and so is this.
    void reset_row4(int y, const float *gate, Map &states, const Affine &a, float *out) {
        if (y < 0 || y >= h) { std::memset(out, 0, sizeof(float) * 4 * (w + 2)); return; }
        const v16 scale = repeated(a.scale), bias = repeated(a.bias);
        const float *state = states.row(y) + 4;
        for (int x = 0; x < w; x += 4) {
            v16 r = sigmoid(load(gate + (wide * y + x) * 4) * scale + bias);
            store(out + 4 * (x + 1), r * load(state + 4 * x));
        }
    }

    // Rows of 4 channels, 4 pixels in a vector; the sums count `used` lanes of each pixel.
    template <int IN>
    void candidate4(int y, const float *const rows[3], const float *weights, float *out, int used) {
        v16 s[2] = {};
        i16 counted{};
        for (int x = 0; x < w; x += 4, out += 16) {
            v16 sums[1] = {load(out)};
            convolve4<IN, 1>(sums, rows, x, weights);
            for (int i = 0; i < 16; i++) counted[i] = i % 4 < used && x + i / 4 < w ? -1 : 0;
            store(out, sums[0]);
            v16 valid = pick(counted, sums[0], v16{});
            s[0] += valid; s[1] += valid * valid;
        }
        outs[y] = {total(s[0], 0, 16), total(s[1], 0, 16)};
    }

    template <int IN>
    void small_candidate(int from, int to, std::vector<float> (&ring)[3], int cell, const float *gate,
                         Map &states, const float *weights, float *out) {
        const Affine a = affine(resets.data(), h, (double)IN * h * w, p.reset[cell], p.reset_bias[cell], IN);
        reset_row4(from - 1, gate, states, a, ring[(from + 2) % 3].data());
        reset_row4(from, gate, states, a, ring[from % 3].data());
        for (int y = from; y < to; y++) {
            reset_row4(y + 1, gate, states, a, ring[(y + 1) % 3].data());
            const float *rows[3] = {ring[(y + 2) % 3].data(), ring[y % 3].data(), ring[(y + 1) % 3].data()};
            candidate4<IN>(y, rows, weights, out + wide * y * 4, IN);
        }
    }

    void small_state(int from, int to, int cell, const float *gate, Map &states, const float *out, int used) {
        const double n = (double)used * h * w;
        const Affine u = affine(updates.data(), h, n, p.update[cell], p.update_bias[cell], used);
        const Affine o = affine(outs.data(), h, n, p.norm[cell], p.norm_bias[cell], used);
        for (int y = from; y < to; y++)
            state4(states.row(y) + 4, gate + wide * y * 4, out + wide * y * 4, u, o, used);
    }

    // The new state of a row of 4 channels from its update and candidate preactivations.
    void state4(float *state, const float *gate, const float *out, const Affine &u, const Affine &o, int used) {
        const v16 us = repeated(u.scale), ub = repeated(u.bias), os = repeated(o.scale), ob = repeated(o.bias);
        for (int x = 0; x < w; x += 4) {
            v16 update = sigmoid(load(gate + 4 * x) * us + ub);
            v16 t = tangent(load(out + 4 * x) * os + ob);
            v16 next = update * (load(state + 4 * x) - t) + t;
            for (int i = 0; i < 16; i++)
                if (i % 4 < used && x + i / 4 < w) state[4 * x + i] = next[i];
        }
    }
    static v16 repeated(v16 v) {
        return __builtin_shuffle(v, i16{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
    }

    // ---- third cell: lanes of a pixel are reset 0-1, update 2-3; states have 2 channels of 4
    void third_gates(int from, int to) {
        const v16 bias = four_times(p.gate_bias[2], 4), out_bias = four_times(p.output_bias[2], 2);
        for (int y = from; y < to; y++) {
            const float *rows[3] = {h2.row(y - 1), h2.row(y), h2.row(y + 1)};
            const float *states[3] = {h3.row(y - 1), h3.row(y), h3.row(y + 1)};
            v16 s[2] = {};
            for (int x = 0; x < w; x += 4) {
                v16 both[2] = {bias, out_bias};
                convolve4<4, 2>(both, rows, x, gate_x3.data());
                v16 gate[1] = {both[0]};
                convolve4<2, 1>(gate, states, x, gate_h3.data());
                const size_t at = (wide * y + x) * 4;
                store(reset3.data + at, gate[0]);
                store(update3.data + at, __builtin_shuffle(gate[0], i16{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13}));
                store(out3.data + at, both[1]);
                i16 counted{};
                for (int i = 0; i < 16; i++) counted[i] = x + i / 4 < w ? -1 : 0;
                v16 valid = pick(counted, gate[0], v16{});
                s[0] += valid; s[1] += valid * valid;
            }
            Sums r, u;
            for (int i = 0; i < 16; i++) {
                Sums &to_add = i % 4 < 2 ? r : u;
                to_add.sum += s[0][i]; to_add.square += s[1][i];
            }
            resets[y] = r; updates[y] = u;
        }
    }
};

}  // namespace
