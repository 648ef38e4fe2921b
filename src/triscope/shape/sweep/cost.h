// The cost of one plane, row by row: the negated variance of the features over the views.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
#include "problem.h"
#include "vectors.h"

namespace {

const float NEAREST = 1e-6f;
enum { FEATURES = 32 };

struct Taps { std::vector<int32_t> at; std::vector<float> share; };  // 4 of each for a pixel

void taps_of_row(const Problem &p, int source, double depth, int y, Taps &taps) {
    const double *t = p.turn + 9 * source, *s = p.shift + 3 * source;
    const int w = p.width, h = p.height;
    float a[3], c[3];
    for (int i = 0; i < 3; i++) {
        a[i] = (float)(depth * t[3 * i]);
        c[i] = (float)(depth * (t[3 * i + 1] * y + t[3 * i + 2]) + s[i]);
    }
    for (int x = 0; x < w; x++) {
        float z = a[2] * x + c[2], front = z > NEAREST ? 1.0f : 0.0f, safe = front ? z : 1.0f;
        float u = (a[0] * x + c[0]) / safe, v = (a[1] * x + c[1]) / safe;
        u = std::min(std::max(u, -2.0f), (float)w + 1);
        v = std::min(std::max(v, -2.0f), (float)h + 1);
        float left = std::floor(u), top = std::floor(v), fx = u - left, fy = v - top;
        int i = (int)left, j = (int)top;
        float x0 = i >= 0 && i < w ? 1 - fx : 0, x1 = i >= -1 && i < w - 1 ? fx : 0;
        float y0 = j >= 0 && j < h ? (1 - fy) * front : 0, y1 = j >= -1 && j < h - 1 ? fy * front : 0;
        int i0 = std::min(std::max(i, 0), w - 1), i1 = std::min(std::max(i + 1, 0), w - 1);
        int j0 = std::min(std::max(j, 0), h - 1), j1 = std::min(std::max(j + 1, 0), h - 1);
        float *share = &taps.share[4 * x];
        int32_t *at = &taps.at[4 * x];
        share[0] = x0 * y0; share[1] = x1 * y0; share[2] = x0 * y1; share[3] = x1 * y1;
        at[0] = j0 * w + i0; at[1] = j0 * w + i1; at[2] = j1 * w + i0; at[3] = j1 * w + i1;
    }
}

// Row y of the cost into `out`, whose first pixel is column -1; zeros outside the map.
template <class T>
void cost_row(const Problem &p, double depth, int y, std::vector<Taps> &taps, T *out) {
    const int w = p.width;
    if (y < 0 || y >= p.height) { std::memset(out, 0, sizeof(T) * FEATURES * (w + 2)); return; }
    const int sources = p.views - 1;
    const size_t map = (size_t)p.height * w * FEATURES;
    const float share_of_one = 1.0f / p.views;
    for (int s = 0; s < sources; s++) taps_of_row(p, s, depth, y, taps[s]);
    const float *reference = p.features + (size_t)y * w * FEATURES;
    for (int x = 0; x < w; x++) {
        v16 f0 = load(reference + x * FEATURES), f1 = load(reference + x * FEATURES + 16);
        v16 sum0 = f0, sum1 = f1, square0 = f0 * f0, square1 = f1 * f1;
        for (int s = 0; s < sources; s++) {
            const float *base = p.features + map * (s + 1);
            const int32_t *at = &taps[s].at[4 * x];
            const float *share = &taps[s].share[4 * x];
            v16 g0{}, g1{};
            for (int k = 0; k < 4; k++) {
                const float *q = base + (size_t)at[k] * FEATURES;
                g0 += share[k] * load(q);
                g1 += share[k] * load(q + 16);
            }
            sum0 += g0; sum1 += g1; square0 += g0 * g0; square1 += g1 * g1;
        }
        v16 mean0 = sum0 * share_of_one, mean1 = sum1 * share_of_one;
        store_row(out, (x + 1) * FEATURES, mean0 * mean0 - square0 * share_of_one);
        store_row(out, (x + 1) * FEATURES + 16, mean1 * mean1 - square1 * share_of_one);
    }
}

}  // namespace
