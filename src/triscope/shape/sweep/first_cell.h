// The first cell: 32 channels of cost and 16 of state; lanes are the output channels.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>
#include "convolutions.h"
#include "cost.h"
#include "state.h"

namespace {

struct FirstCell : State {
    using State::State;
    template <class T> const T *state1(int y);

    template <class T>
    void first_gates(double depth, int from, int to, std::vector<Taps> &taps, std::vector<T> (&ring)[3]) {
        const v16 bias[3] = {load(p.gate_bias[0]), load(p.gate_bias[0] + 16), load(p.output_bias[0])};
        cost_row(p, depth, from - 1, taps, ring[(from + 2) % 3].data());
        cost_row(p, depth, from, taps, ring[from % 3].data());
        for (int y = from; y < to; y++) {
            cost_row(p, depth, y + 1, taps, ring[(y + 1) % 3].data());
            const T *rows[3] = {ring[(y + 2) % 3].data(), ring[y % 3].data(), ring[(y + 1) % 3].data()};
            const T *states[3] = {state1<T>(y - 1), state1<T>(y), state1<T>(y + 1)};
            // One row of the kernel at a time: its weights then stay in the first cache.
            for (int k = 0; k < 3; k++)
                for (int x = 0; x < w; x += TILE3) {
                    float *g = gates1.data + (wide * y + x) * 32, *o = out1.data + (wide * y + x) * 16;
                    v16 sums[TILE3][3];
                    for (int i = 0; i < TILE3; i++) {
                        sums[i][0] = k ? load(g + 32 * i) : bias[0];
                        sums[i][1] = k ? load(g + 32 * i + 16) : bias[1];
                        sums[i][2] = k ? load(o + 16 * i) : bias[2];
                    }
                    convolve<TILE3, 3, 3>(sums, rows, x, 32, gate_x1.data(), 3 * k, 3 * k + 3);
                    for (int i = 0; i < TILE3; i++) {
                        store(g + 32 * i, sums[i][0]);
                        store(g + 32 * i + 16, sums[i][1]);
                        store(o + 16 * i, sums[i][2]);
                    }
                }
            v16 s[4] = {};
            for (int x = 0; x < w; x += TILE2) {
                float *g = gates1.data + (wide * y + x) * 32;
                v16 sums[TILE2][2];
                for (int i = 0; i < TILE2; i++) {
                    sums[i][0] = load(g + 32 * i);
                    sums[i][1] = load(g + 32 * i + 16);
                }
                convolve<TILE2, 2, 2>(sums, states, x, 16, gate_h1.data());
                for (int i = 0; i < TILE2 && x + i < w; i++) {
                    store(g + 32 * i, sums[i][0]); store(g + 32 * i + 16, sums[i][1]);
                    s[0] += sums[i][0]; s[1] += sums[i][0] * sums[i][0];
                    s[2] += sums[i][1]; s[3] += sums[i][1] * sums[i][1];
                }
            }
            resets[y] = {total(s[0], 0, 16), total(s[1], 0, 16)};
            updates[y] = {total(s[2], 0, 16), total(s[3], 0, 16)};
        }
    }

    template <class T> void reset_row1(int y, const Affine &a, T *out) {
        if (y < 0 || y >= h) { std::memset(out, 0, sizeof(T) * 16 * (w + 2)); return; }
        const float *state = h1.row(y) + 16;
        for (int x = 0; x < w; x++) {
            v16 r = sigmoid(load(gates1.data + (wide * y + x) * 32) * a.scale + a.bias);
            store_row(out, 16 * (x + 1), r * load(state + 16 * x));
        }
    }

    template <class T> void first_candidate(int from, int to, std::vector<T> (&ring)[3]) {
        const Affine a = affine(resets.data(), h, 16.0 * h * w, p.reset[0], p.reset_bias[0], 16);
        reset_row1(from - 1, a, ring[(from + 2) % 3].data());
        reset_row1(from, a, ring[from % 3].data());
        for (int y = from; y < to; y++) {
            reset_row1(y + 1, a, ring[(y + 1) % 3].data());
            const T *rows[3] = {ring[(y + 2) % 3].data(), ring[y % 3].data(), ring[(y + 1) % 3].data()};
            v16 s[2] = {};
            for (int x = 0; x < w; x += TILE1) {
                float *out = out1.data + (wide * y + x) * 16;
                v16 sums[TILE1][1];
                for (int i = 0; i < TILE1; i++) sums[i][0] = load(out + 16 * i);
                convolve<TILE1, 1, 1>(sums, rows, x, 16, out_h1.data());
                for (int i = 0; i < TILE1 && x + i < w; i++) {
                    store(out + 16 * i, sums[i][0]);
                    s[0] += sums[i][0]; s[1] += sums[i][0] * sums[i][0];
                }
            }
            outs[y] = {total(s[0], 0, 16), total(s[1], 0, 16)};
        }
    }

    void first_state(int from, int to) {
        const Affine u = affine(updates.data(), h, 16.0 * h * w, p.update[0], p.update_bias[0], 16);
        const Affine o = affine(outs.data(), h, 16.0 * h * w, p.norm[0], p.norm_bias[0], 16);
        for (int y = from; y < to; y++) {
            float *state = h1.row(y) + 16;
            for (int x = 0; x < w; x++, state += 16) {
                v16 update = sigmoid(load(gates1.data + (wide * y + x) * 32 + 16) * u.scale + u.bias);
                v16 t = tangent(load(out1.data + (wide * y + x) * 16) * o.scale + o.bias);
                v16 next = update * (load(state) - t) + t;
                store(state, next);
                if (p.bf16) keep_half(state, next);
            }
        }
    }
    void keep_half(float *state, v16 next) {
#ifdef __AVX512BF16__
        store_row(half1.data(), (int)(state - h1.data), next);
#else
        (void)state; (void)next;
#endif
    }
};

template <> const float *FirstCell::state1<float>(int y) { return h1.row(y); }
#ifdef __AVX512BF16__
template <> const uint16_t *FirstCell::state1<uint16_t>(int y) { return half1.data() + (h1.row(y) - h1.data); }
#endif

}  // namespace
