/* Fake quantisation with learned scales, the bin regulariser and the oscillation tracker, for float32 on the CPU.
 *
 * A tensor is seen as (outer, groups, inner), element (o, g, i), contiguous. Every group has its own scale and its own
 * integer bounds qn <= 0 < qp. Nothing here depends on the number of threads: work is cut by the shape alone, and
 * partial sums are added in one order. NaN goes the way torch.clamp and torch.round send it.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

enum {
    BLOCK = 2048,     /* elements whose sum is a float before it is added as a double */
    NARROW = 16,      /* an inner length below this is walked along (group, inner) with a scale per column */
    COLUMNS = 1024,   /* columns of a block of that walk */
    ROWS = 64,        /* rows of a block of that walk */
    SMALL = 1 << 15,  /* elements below which a second thread costs more than it saves */
    CHUNK = 1024,     /* elements of the bin regulariser's buffers */
    PART = 1 << 13,   /* elements of a group that share a histogram */
    MAX_BINS = 256,
};

enum { OK = 0, NO_MEMORY = 1, BAD_BOUNDS = 2, BAD_ROWS = 3 };

typedef struct {
    int64_t outer, groups, inner;
    const float *scale, *offset, *qn, *qp; /* one a group; offset may be NULL */
    int64_t threads;
} Plan;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static Plan make_plan(const int64_t *layout, const float *scale, const float *offset, const float *qn, const float *qp,
                      int64_t threads)
{
    Plan p = {layout[0], layout[1], layout[2], scale, offset, qn, qp, threads};
    if (p.groups == 1) { /* long rows, whatever the shape */
        p.inner *= p.outer;
        p.outer = 1;
    }
    if (p.outer * p.groups * p.inner < SMALL) p.threads = 1;
    return p;
}

static inline float clamped(float v, float low, float high)
{
    v = v < low ? low : v; /* this way round a NaN stays */
    return v > high ? high : v;
}

/* What an element needs of its group. Without an offset, x - 0 and y + -0 change no bit of any x or y. */
typedef struct {
    float scale, minus, plus, qn, qp;
} Group;

static Group group_of(const Plan *p, int64_t g)
{
    Group q = {p->scale[g], 0.0f, -0.0f, p->qn[g], p->qp[g]};
    if (p->offset) q.minus = q.plus = p->offset[g];
    return q;
}

/* ---- The walk over wide rows: units of at most BLOCK elements of one (outer, group) row ---- */

typedef struct {
    int64_t pieces, length, count; /* units a row, elements a unit, units in all */
} Units;

static Units units_of(const Plan *p)
{
    Units u = {divide_up(p->inner, BLOCK), 0, 0};
    if (u.pieces) u.length = divide_up(divide_up(p->inner, u.pieces), 16) * 16;
    if (u.pieces) u.pieces = divide_up(p->inner, u.length);
    u.count = p->outer * p->groups * u.pieces;
    return u;
}

typedef struct {
    int64_t group, start, length;
} Unit;

static Unit unit_at(const Plan *p, const Units *u, int64_t index)
{
    int64_t row = index / u->pieces, from = (index % u->pieces) * u->length;
    Unit unit = {row % p->groups, row * p->inner + from, smaller(u->length, p->inner - from)};
    return unit;
}

/* ---- The walk over narrow rows: blocks of ROWS x COLUMNS of the matrix (outer, groups * inner) ---- */

static int is_narrow(const Plan *p) { return p->inner < NARROW && p->groups > 1; }

typedef struct {
    int64_t columns, across, count; /* of the matrix; blocks side by side; blocks in all */
} Blocks;

static Blocks blocks_of(const Plan *p)
{
    Blocks b = {p->groups * p->inner, divide_up(p->groups * p->inner, COLUMNS), 0};
    b.count = b.across * divide_up(p->outer, ROWS);
    return b;
}

typedef struct {
    int64_t row, rows, column, columns;
    float scale[COLUMNS], minus[COLUMNS], plus[COLUMNS], qn[COLUMNS], qp[COLUMNS];
} Block;

static void block_at(const Plan *p, const Blocks *b, int64_t index, Block *k)
{
    k->row = index / b->across * ROWS;
    k->rows = smaller(ROWS, p->outer - k->row);
    k->column = index % b->across * COLUMNS;
    k->columns = smaller(COLUMNS, b->columns - k->column);
    int64_t g = k->column / p->inner, i = k->column % p->inner;
    for (int64_t j = 0; j < k->columns; j++) {
        Group q = group_of(p, g);
        k->scale[j] = q.scale, k->minus[j] = q.minus, k->plus[j] = q.plus, k->qn[j] = q.qn, k->qp[j] = q.qp;
        if (++i == p->inner) i = 0, g++;
    }
}

/* ---- Fake quantisation ---- */

static inline float quantised(float x, float scale, float minus, float plus, float qn, float qp)
{
    return rintf(clamped((x - minus) / scale, qn, qp)) * scale + plus;
}

API int fake_quantize(const float *restrict x, float *restrict y, const float *scale, const float *offset,
                      const float *qn, const float *qp, const int64_t *layout, int64_t threads)
{
    Plan p = make_plan(layout, scale, offset, qn, qp, threads);
    if (is_narrow(&p)) {
        Blocks b = blocks_of(&p);
#pragma omp parallel for schedule(static) num_threads(p.threads)
        for (int64_t index = 0; index < b.count; index++) {
            Block k;
            block_at(&p, &b, index, &k);
            for (int64_t r = 0; r < k.rows; r++) {
                int64_t at = (k.row + r) * b.columns + k.column;
#pragma omp simd
                for (int64_t j = 0; j < k.columns; j++)
                    y[at + j] = quantised(x[at + j], k.scale[j], k.minus[j], k.plus[j], k.qn[j], k.qp[j]);
            }
        }
        return OK;
    }
    Units u = units_of(&p);
#pragma omp parallel for schedule(static) num_threads(p.threads)
    for (int64_t index = 0; index < u.count; index++) {
        Unit unit = unit_at(&p, &u, index);
        Group q = group_of(&p, unit.group);
#pragma omp simd
        for (int64_t i = unit.start; i < unit.start + unit.length; i++)
            y[i] = quantised(x[i], q.scale, q.minus, q.plus, q.qn, q.qp);
    }
    return OK;
}

typedef struct {
    float x, scale, offset;
} Gradient;

static inline Gradient gradient(float x, float g, float scale, float minus, float qn, float qp)
{
    float v = (x - minus) / scale;
    float rounded = rintf(clamped(v, qn, qp));
    int inside = (v >= qn) & (v <= qp);
    Gradient d = {inside ? g : 0.0f, g * (inside ? rounded - v : rounded), inside ? 0.0f : g};
    return d;
}

/* Where the rows of a gradient lie: row (outer, group) at outer / many * far + outer % many * near + group * across. */
typedef struct {
    int64_t many, far, near, across;
} Rows;

/* grad_offset may be NULL when offset is; `rows` is NULL for a gradient that lies as x does, and else only of use where
 * the walk is one over wide rows of several groups. */
static int backward(const float *restrict x, const float *restrict grad_y, float *restrict grad_x,
                    float *restrict grad_scale, float *restrict grad_offset, const float *scale, const float *offset,
                    const float *qn, const float *qp, const int64_t *layout, const Rows *rows, int64_t threads)
{
    Plan p = make_plan(layout, scale, offset, qn, qp, threads);
    int narrow = is_narrow(&p);
    if (rows && (narrow || p.groups == 1)) return BAD_ROWS;
    Units u = units_of(&p);
    Blocks b = blocks_of(&p);
    int64_t partials = narrow ? divide_up(p.outer, ROWS) * b.columns : u.count; /* a group's are pieces, in order */
    float *restrict of_scale = malloc(2 * sizeof(float) * (size_t)(partials + 1));
    double *restrict total = calloc((size_t)(2 * p.groups + 1), sizeof(double));
    if (!of_scale || !total) {
        free(of_scale);
        free(total);
        return NO_MEMORY;
    }
    float *restrict of_offset = of_scale + partials;
    if (narrow) {
#pragma omp parallel for schedule(static) num_threads(p.threads)
        for (int64_t index = 0; index < b.count; index++) {
            Block k;
            block_at(&p, &b, index, &k);
            float *restrict s = of_scale + k.row / ROWS * b.columns + k.column;
            float *restrict o = of_offset + k.row / ROWS * b.columns + k.column;
            memset(s, 0, sizeof(float) * (size_t)k.columns);
            memset(o, 0, sizeof(float) * (size_t)k.columns);
            for (int64_t r = 0; r < k.rows; r++) {
                int64_t at = (k.row + r) * b.columns + k.column;
#pragma omp simd
                for (int64_t j = 0; j < k.columns; j++) {
                    Gradient d = gradient(x[at + j], grad_y[at + j], k.scale[j], k.minus[j], k.qn[j], k.qp[j]);
                    grad_x[at + j] = d.x;
                    s[j] += d.scale;
                    o[j] += d.offset;
                }
            }
        }
    } else {
#pragma omp parallel for schedule(static) num_threads(p.threads)
        for (int64_t index = 0; index < u.count; index++) {
            Unit unit = unit_at(&p, &u, index);
            Group q = group_of(&p, unit.group);
            float s = 0.0f, o = 0.0f;
            const float *restrict from = x + unit.start, *restrict given = grad_y + unit.start;
            float *restrict to = grad_x + unit.start;
            if (rows) {
                int64_t row = unit.start / p.inner, outer = row / p.groups;
                given = grad_y + outer / rows->many * rows->far + outer % rows->many * rows->near +
                        row % p.groups * rows->across + unit.start % p.inner;
            }
#pragma omp simd reduction(+ : s, o)
            for (int64_t i = 0; i < unit.length; i++) {
                Gradient d = gradient(from[i], given[i], q.scale, q.minus, q.qn, q.qp);
                to[i] = d.x;
                s += d.scale;
                o += d.offset;
            }
            of_scale[index] = s;
            of_offset[index] = o;
        }
    }
    /* Both walks leave runs of `pieces` partial sums a group, group after group, again and again. */
    int64_t pieces = narrow ? p.inner : u.pieces;
    for (int64_t index = 0, g = 0; index < partials; g = g + 1 == p.groups ? 0 : g + 1)
        for (int64_t last = index + pieces; index < last; index++) {
            total[2 * g] += of_scale[index];
            total[2 * g + 1] += of_offset[index];
        }
    for (int64_t g = 0; g < p.groups; g++) {
        grad_scale[g] = (float)total[2 * g];
        if (grad_offset) grad_offset[g] = (float)total[2 * g + 1];
    }
    free(of_scale);
    free(total);
    return OK;
}

API int fake_quantize_backward(const float *x, const float *grad_y, float *grad_x, float *grad_scale,
                               float *grad_offset, const float *scale, const float *offset, const float *qn,
                               const float *qp, const int64_t *layout, int64_t threads)
{
    return backward(x, grad_y, grad_x, grad_scale, grad_offset, scale, offset, qn, qp, layout, NULL, threads);
}

/* ---- The same with learned scales: scale = start * max(relative, least) ---- */

static float *learned_scales(const float *relative, const float *start, float least, int64_t groups)
{
    float *scale = malloc(2 * sizeof(float) * (size_t)groups + 1);
    for (int64_t g = 0; scale && g < groups; g++) scale[g] = start[g] * (relative[g] < least ? least : relative[g]);
    return scale;
}

API int learned_quantize(const float *x, float *y, const float *relative, const float *start, const float *offset,
                         const float *qn, const float *qp, int64_t outer, int64_t groups, int64_t inner, float least,
                         int64_t threads)
{
    int64_t layout[3] = {outer, groups, inner};
    float *scale = learned_scales(relative, start, least, groups);
    if (!scale) return NO_MEMORY;
    int code = fake_quantize(x, y, scale, offset, qn, qp, layout, threads);
    free(scale);
    return code;
}

/* The L1 norm of each group. */
static int group_norms(const float *x, double *norm, const int64_t *layout, int64_t threads)
{
    Plan p = make_plan(layout, NULL, NULL, NULL, NULL, threads);
    Units u = units_of(&p);
    float *part = malloc(sizeof(float) * (size_t)(u.count + 1));
    if (!part) return NO_MEMORY;
#pragma omp parallel for schedule(static) num_threads(p.threads)
    for (int64_t index = 0; index < u.count; index++) {
        Unit unit = unit_at(&p, &u, index);
        float s = 0.0f;
#pragma omp simd reduction(+ : s)
        for (int64_t i = unit.start; i < unit.start + unit.length; i++) s += fabsf(x[i]);
        part[index] = s;
    }
    for (int64_t g = 0; g < p.groups; g++) norm[g] = 0.0;
    for (int64_t index = 0; index < u.count; index++) norm[index / u.pieces % p.groups] += part[index];
    free(part);
    return OK;
}

/* Gradients of scale and offset are divided by sqrt(size * qp); `size` of a group is given, its L1 norm (of_x), or, with
 * neither, they are left as they are. A gradient that would lower a scale at its least is dropped. `many` is 0 for a
 * gradient that lies as x does; else it and the three after it are Rows. */
API int learned_quantize_backward(const float *x, const float *grad_y, float *grad_x, float *grad_relative,
                                  float *grad_offset, const float *relative, const float *start, const float *offset,
                                  const float *qn, const float *qp, const float *size, int64_t of_x, int64_t outer,
                                  int64_t groups, int64_t inner, int64_t many, int64_t far, int64_t near,
                                  int64_t across, float least, int64_t threads)
{
    int64_t layout[3] = {outer, groups, inner};
    Rows rows = {many, far, near, across};
    float *scale = learned_scales(relative, start, least, groups);
    double *norm = of_x ? malloc(sizeof(double) * (size_t)groups + 1) : NULL;
    int code = scale && (norm || !of_x) ? OK : NO_MEMORY;
    if (!code && of_x) code = group_norms(x, norm, layout, threads);
    if (!code)
        code = backward(x, grad_y, grad_x, grad_relative, grad_offset, scale, offset, qn, qp, layout,
                        many ? &rows : NULL, threads);
    for (int64_t g = 0; !code && g < groups; g++) {
        if (size || of_x) {
            double product = (of_x ? norm[g] : (double)size[g]) * qp[g];
            float factor = (float)(1.0 / sqrt(product < 1e-12 ? 1e-12 : product));
            grad_relative[g] *= factor;
            if (grad_offset) grad_offset[g] *= factor;
        }
        if (relative[g] <= least && grad_relative[g] > 0.0f) grad_relative[g] = 0.0f;
        grad_relative[g] *= start[g];
    }
    free(scale);
    free(norm);
    return code;
}

/* ---- The bin regulariser ---- */

/* Of the elements of a bin: how many, sum of the deviations from the bin's level k * scale, sum of their squares. */
typedef double Sums __attribute__((vector_size(32)));

/* dL/dc = slope[bin] * deviation - shift[bin]; weights outside the range have two bins of their own, with zeros. */
typedef struct {
    float slope[MAX_BINS + 2], shift[MAX_BINS + 2];
} Table;

static int bins_of(const Group *q) { return (int)(q->qp - q->qn) + 1; }

/* Deviations and bins of n <= CHUNK weights; below the range is bin `bins`, above it `bins + 1`. */
static void deviations(const float *restrict w, int64_t n, const Group *q, float *restrict deviation,
                       int32_t *restrict bin)
{
    float scale = q->scale, qn = q->qn, qp = q->qp, low = qn * scale, high = qp * scale;
    int32_t below = bins_of(q), above = below + 1;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float v = w[i] / scale;
        float code = rintf(clamped(v, qn, qp));
        float index = code - qn;
        int32_t inside = (int32_t)(index >= 0.0f ? index : 0.0f); /* a NaN has to land somewhere */
        deviation[i] = clamped(w[i], low, high) - code * scale;
        bin[i] = v < qn ? below : v > qp ? above : inside;
    }
}

/* A part of a group: rows of `length` elements, `stride` apart. */
typedef struct {
    int64_t start, rows, length, stride;
} Part;

static inline void add(Sums *sums, double deviation)
{
    *sums += (Sums){1.0, deviation, deviation * deviation, 0.0};
}

static void count_bins(const float *w, const Part *part, const Group *q, Sums *restrict sums)
{
    float deviation[CHUNK];
    int32_t bin[CHUNK];
    int width = bins_of(q) + 2;
    Sums lanes[4][MAX_BINS + 2]; /* four, so that equal bins in a row need not wait for each other */
    for (int lane = 0; lane < 4; lane++) memset(lanes[lane], 0, sizeof(Sums) * (size_t)width);
    for (int64_t r = 0; r < part->rows; r++)
        for (int64_t from = 0; from < part->length; from += CHUNK) {
            int64_t n = smaller(CHUNK, part->length - from), i = 0;
            deviations(w + part->start + r * part->stride + from, n, q, deviation, bin);
            for (; i + 3 < n; i += 4)
                for (int lane = 0; lane < 4; lane++) add(&lanes[lane][bin[i + lane]], deviation[i + lane]);
            for (; i < n; i++) add(&lanes[i % 4][bin[i]], deviation[i]);
        }
    for (int k = 0; k < width; k++) sums[k] = (lanes[0][k] + lanes[1][k]) + (lanes[2][k] + lanes[3][k]);
}

/* The loss of a group from its sums, and what its gradients need. N_g elements in the group, `groups` in the tensor. */
static double finish_group(const Sums *sums, const Group *q, double elements, double groups, Table *table,
                           float *grad_scale)
{
    int bins = bins_of(q);
    double squares = 0.0, variances = 0.0, of_scale = 0.0;
    for (int k = 0; k < bins; k++) {
        Sums all = sums[k];
        double clipped = 0.0; /* sum of the bounds of the weights outside, the derivative of their value to the scale */
        if (k == 0) all += sums[bins], clipped += q->qn * sums[bins][0];
        if (k == bins - 1) all += sums[bins + 1], clipped += q->qp * sums[bins + 1][0];
        double share = all[0] > 0.0 ? 1.0 / all[0] : 0.0, mean = all[1] * share;
        double variance = all[2] * share - mean * mean;
        squares += all[2];
        variances += variance < 0.0 ? 0.0 : variance;
        table->slope[k] = (float)(2.0 * (1.0 / elements + share) / groups);
        table->shift[k] = (float)(2.0 * share * mean / groups);
        of_scale -= 2.0 * share * mean / groups * clipped; /* the deviation of a clipped weight is 0 */
    }
    table->slope[bins] = table->slope[bins + 1] = table->shift[bins] = table->shift[bins + 1] = 0.0f;
    *grad_scale = (float)of_scale;
    return (squares / elements + variances) / groups;
}

static void write_gradient(const float *w, float *grad_w, const Part *part, const Group *q, const Table *table)
{
    float deviation[CHUNK];
    int32_t bin[CHUNK];
    for (int64_t r = 0; r < part->rows; r++)
        for (int64_t from = 0; from < part->length; from += CHUNK) {
            int64_t n = smaller(CHUNK, part->length - from), at = part->start + r * part->stride + from;
            deviations(w + at, n, q, deviation, bin);
            float *restrict to = grad_w + at;
            for (int64_t i = 0; i < n; i++) to[i] = table->slope[bin[i]] * deviation[i] - table->shift[bin[i]];
        }
}

/* The parts of a group: of its rows where there are many, else of its one or few long rows. */
static Part part_at(const Plan *p, int64_t g, int64_t index, int64_t parts)
{
    int64_t n = p->outer >= parts ? p->outer : p->inner, from = index * n / parts, to = (index + 1) * n / parts;
    Part by_row = {from * p->groups * p->inner + g * p->inner, to - from, p->inner, p->groups * p->inner};
    Part by_column = {g * p->inner + from, p->outer, to - from, p->groups * p->inner};
    return p->outer >= parts ? by_row : by_column;
}

API int bin_regulariser(const float *w, float *grad_w, float *grad_scale, double *loss, const float *scale,
                        const float *qn, const float *qp, const int64_t *layout, int64_t threads)
{
    Plan p = make_plan(layout, scale, NULL, qn, qp, threads);
    int64_t elements = p.outer * p.inner, parts = divide_up(elements, PART);
    *loss = 0.0;
    memset(grad_scale, 0, sizeof(float) * (size_t)p.groups);
    for (int64_t g = 0; g < p.groups; g++)
        if (!(qn[g] == rintf(qn[g]) && qp[g] == rintf(qp[g]) && qn[g] <= 0.0f && qp[g] > 0.0f &&
              qp[g] - qn[g] < MAX_BINS))
            return BAD_BOUNDS;
    if (!elements) return OK;
    int64_t items = p.groups * parts;
    double *losses = calloc((size_t)p.groups, sizeof(double));
    Sums *sums = parts > 1 ? aligned_alloc(sizeof(Sums), sizeof(Sums) * (MAX_BINS + 2) * (size_t)items) : NULL;
    Table *tables = parts > 1 ? malloc(sizeof(Table) * (size_t)p.groups) : NULL;
    int missing = !losses || (parts > 1 && (!sums || !tables));
    if (!missing && parts == 1) { /* a group a thread, in one go */
#pragma omp parallel for schedule(static) num_threads(p.threads)
        for (int64_t g = 0; g < p.groups; g++) {
            Sums own[MAX_BINS + 2];
            Table table;
            Group q = group_of(&p, g);
            Part part = part_at(&p, g, 0, 1);
            count_bins(w, &part, &q, own);
            losses[g] = finish_group(own, &q, (double)elements, (double)p.groups, &table, grad_scale + g);
            write_gradient(w, grad_w, &part, &q, &table);
        }
    } else if (!missing) {
#pragma omp parallel num_threads(p.threads)
        {
#pragma omp for schedule(static)
            for (int64_t index = 0; index < items; index++) {
                Group q = group_of(&p, index / parts);
                Part part = part_at(&p, index / parts, index % parts, parts);
                count_bins(w, &part, &q, sums + index * (MAX_BINS + 2));
            }
#pragma omp for schedule(static)
            for (int64_t g = 0; g < p.groups; g++) {
                Group q = group_of(&p, g);
                Sums *first = sums + g * parts * (MAX_BINS + 2);
                for (int64_t part = 1; part < parts; part++)
                    for (int k = 0; k < bins_of(&q) + 2; k++) first[k] += first[part * (MAX_BINS + 2) + k];
                losses[g] = finish_group(first, &q, (double)elements, (double)p.groups, tables + g, grad_scale + g);
            }
#pragma omp for schedule(static)
            for (int64_t index = 0; index < items; index++) {
                Group q = group_of(&p, index / parts);
                Part part = part_at(&p, index / parts, index % parts, parts);
                write_gradient(w, grad_w, &part, &q, tables + index / parts);
            }
        }
    }
    for (int64_t g = 0; g < p.groups && !missing; g++) *loss += losses[g];
    free(losses);
    free(sums);
    free(tables);
    return missing ? NO_MEMORY : OK;
}

/* ---- The oscillation tracker ---- */

/* Integers and signs are floats here, which hold them exactly: so one width of vector serves, and the loop is one. */
static inline void track(float w, float scale, float qn, float qp, float momentum, float keep, int16_t *code,
                         int8_t *direction, float *frequency)
{
    float old = *code, last = *direction;
    float level = rintf(clamped(w / scale, qn, qp));
    level = level == level ? level : old; /* a NaN has no integer: nothing changed */
    float change = (level > old ? 1.0f : 0.0f) - (level < old ? 1.0f : 0.0f);
    *frequency = (change * last < 0.0f ? momentum : 0.0f) + keep * *frequency;
    *direction = (int8_t)(int32_t)(change != 0.0f ? change : last);
    *code = (int16_t)(int32_t)level;
}

API int track_oscillation(const float *restrict w, int16_t *restrict code, int8_t *restrict direction,
                          float *restrict frequency, float momentum, float keep, const float *scale, const float *qn,
                          const float *qp, const int64_t *layout, int64_t threads)
{
    Plan p = make_plan(layout, scale, NULL, qn, qp, threads);
    if (is_narrow(&p)) {
        Blocks b = blocks_of(&p);
#pragma omp parallel for schedule(static) num_threads(p.threads)
        for (int64_t index = 0; index < b.count; index++) {
            Block k;
            block_at(&p, &b, index, &k);
            for (int64_t r = 0; r < k.rows; r++) {
                int64_t at = (k.row + r) * b.columns + k.column;
#pragma omp simd
                for (int64_t j = 0; j < k.columns; j++)
                    track(w[at + j], k.scale[j], k.qn[j], k.qp[j], momentum, keep, code + at + j, direction + at + j,
                          frequency + at + j);
            }
        }
        return OK;
    }
    Units u = units_of(&p);
#pragma omp parallel for schedule(static) num_threads(p.threads)
    for (int64_t index = 0; index < u.count; index++) {
        Unit unit = unit_at(&p, &u, index);
        Group q = group_of(&p, unit.group);
#pragma omp simd
        for (int64_t i = unit.start; i < unit.start + unit.length; i++)
            track(w[i], q.scale, q.qn, q.qp, momentum, keep, code + i, direction + i, frequency + i);
    }
    return OK;
}
