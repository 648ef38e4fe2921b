// What is asked and where the answer goes; the order of the fields is that of native.py.
#pragma once
#include <cstdint>

struct Problem {
    int32_t views, height, width, planes, threads, bf16;
    const float *features;      // (views, height, width, 32)
    const double *turn, *shift; // (views - 1, 9), (views - 1, 3)
    const double *depths;       // (planes)
    const float *gate[3], *gate_bias[3], *reset[3], *reset_bias[3], *update[3], *update_bias[3];
    const float *output[3], *output_bias[3], *norm[3], *norm_bias[3];
    const float *prob, *prob_bias;
    int32_t *index;             // (height, width)
    float *probability, *around; // (height, width), (3, height, width)
};
