/* Matrix-vector products with float32 weights and with indices into a table of 64 float32 values; the machine's peak and its bandwidth. AVX2 and FMA.

   Indices are read as the compressed checkpoint stores them: 6 bits each, most significant bit first, 4 codes in 3 bytes, which is the bit order of base64,
   so that they are unpacked as Mula & Lemire 2018 (Faster Base64 Encoding and Decoding using AVX2) do. The table is looked up byte plane by byte plane with
   PSHUFB, four shuffles of 16 entries each, and the planes are interleaved to floats: the values are the table's own, to the last bit. A table whose values are
   bfloat16 has two planes instead of four, and takes a third of the shuffles.

   Inputs are whole blocks of 32 columns. vectors x and y are float32. */

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

static float sum(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Four rows at a time: several streams from memory are faster than one. Rows are a multiple of 4. */
void gemv_float32(const float *w, const float *x, float *y, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r += 4) {
        const float *row = w + r * columns;
        __m256 a[4], b[4];
        for (int i = 0; i < 4; i++) a[i] = b[i] = _mm256_setzero_ps();
        for (size_t j = 0; j < columns; j += 16) {
            const __m256 first = _mm256_loadu_ps(x + j), second = _mm256_loadu_ps(x + j + 8);
            for (int i = 0; i < 4; i++) {
                const float *at = row + i * columns + j;
                _mm_prefetch((const char *)(at + 256), _MM_HINT_T0);
                a[i] = _mm256_fmadd_ps(_mm256_loadu_ps(at), first, a[i]);
                b[i] = _mm256_fmadd_ps(_mm256_loadu_ps(at + 8), second, b[i]);
            }
        }
        for (int i = 0; i < 4; i++) y[r + i] = sum(_mm256_add_ps(a[i], b[i]));
    }
}

/* 16 entries of each byte plane, for 4 quarters of the table, in both lanes. */
typedef struct { __m256i part[4][4]; } Planes;

static Planes planes_of(const float *table) {
    Planes p;
    uint8_t bytes[16];
    for (int plane = 0; plane < 4; plane++)
        for (int quarter = 0; quarter < 4; quarter++) {
            for (int i = 0; i < 16; i++) {
                union { float f; uint32_t u; } v = {table[16 * quarter + i]};
                bytes[i] = (uint8_t)(v.u >> (8 * plane));
            }
            p.part[plane][quarter] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)bytes));
        }
    return p;
}

/* An index of another quarter gets its highest bit set, for which PSHUFB gives 0. */
static inline void quarters(__m256i index, __m256i q[4]) {
    const __m256i high = _mm256_set1_epi8(0x70);
    for (int i = 0; i < 4; i++) q[i] = _mm256_adds_epu8(_mm256_xor_si256(index, _mm256_set1_epi8((char)(16 * i))), high);
}

static inline __m256i plane(const Planes *p, int k, const __m256i q[4]) {
    return _mm256_or_si256(_mm256_or_si256(_mm256_shuffle_epi8(p->part[k][0], q[0]), _mm256_shuffle_epi8(p->part[k][1], q[1])),
                           _mm256_or_si256(_mm256_shuffle_epi8(p->part[k][2], q[2]), _mm256_shuffle_epi8(p->part[k][3], q[3])));
}

/* 32 indices to four vectors of 8 floats of a table of float32; of 32 columns 0-3 and 16-19, 4-7 and 20-23, 8-11 and 24-27, 12-15 and 28-31. */
static inline void look_up_float32(const Planes *p, __m256i index, __m256i out[4]) {
    __m256i q[4];
    quarters(index, q);
    const __m256i b0 = plane(p, 0, q), b1 = plane(p, 1, q), b2 = plane(p, 2, q), b3 = plane(p, 3, q);
    const __m256i low01 = _mm256_unpacklo_epi8(b0, b1), high01 = _mm256_unpackhi_epi8(b0, b1);
    const __m256i low23 = _mm256_unpacklo_epi8(b2, b3), high23 = _mm256_unpackhi_epi8(b2, b3);
    out[0] = _mm256_unpacklo_epi16(low01, low23);
    out[1] = _mm256_unpackhi_epi16(low01, low23);
    out[2] = _mm256_unpacklo_epi16(high01, high23);
    out[3] = _mm256_unpackhi_epi16(high01, high23);
}

/* The same for a table whose values are bfloat16, which have two byte planes: columns 0 2 4 6 16 18 20 22, 1 3 … 23, 8 10 … 30, 9 11 … 31. */
static inline void look_up_bfloat16(const Planes *p, __m256i index, __m256i out[4]) {
    __m256i q[4];
    quarters(index, q);
    const __m256i b2 = plane(p, 2, q), b3 = plane(p, 3, q), odd = _mm256_set1_epi32((int)0xffff0000);
    const __m256i low = _mm256_unpacklo_epi8(b2, b3), high = _mm256_unpackhi_epi8(b2, b3);
    out[0] = _mm256_slli_epi32(low, 16);
    out[1] = _mm256_and_si256(low, odd);
    out[2] = _mm256_slli_epi32(high, 16);
    out[3] = _mm256_and_si256(high, odd);
}

static const uint8_t ORDER_FLOAT32[32] = {0,  1,  2,  3,  16, 17, 18, 19, 4,  5,  6,  7,  20, 21, 22, 23,
                                          8,  9,  10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31};
static const uint8_t ORDER_BFLOAT16[32] = {0, 2,  4,  6,  16, 18, 20, 22, 1, 3,  5,  7,  17, 19, 21, 23,
                                           8, 10, 12, 14, 24, 26, 28, 30, 9, 11, 13, 15, 25, 27, 29, 31};

/* 32 indices of a byte each. */
static inline __m256i next_bytes(const uint8_t *at) { return _mm256_loadu_si256((const __m256i *)at); }

/* 32 indices of 6 bits each, as the file stores them; 4 bytes beyond them are read. */
static inline __m256i next_packed(const uint8_t *at) {
    const __m256i spread = _mm256_set_epi8(10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1, 10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1);
    __m256i in = _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(at + 12)), _mm_loadu_si128((const __m128i *)at));
    in = _mm256_shuffle_epi8(in, spread);
    const __m256i even = _mm256_mulhi_epu16(_mm256_and_si256(in, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
    const __m256i odd = _mm256_mullo_epi16(_mm256_and_si256(in, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
    return _mm256_or_si256(even, odd);
}

/* `scratch` holds `columns` floats: x in the order in which the look-up returns columns. */
#define GEMV(NAME, NEXT, BYTES, LOOK_UP, ORDER)                                                                                                     \
    void NAME(const uint8_t *codes, const float *table, const float *x, float *y, float *scratch, size_t rows, size_t columns) {                   \
        const Planes p = planes_of(table);                                                                                                          \
        for (size_t j = 0; j < columns; j++) scratch[j] = x[j / 32 * 32 + ORDER[j % 32]];                                                           \
        for (size_t r = 0; r < rows; r++) {                                                                                                         \
            __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};                                     \
            for (size_t j = 0; j < columns; j += 32, codes += BYTES) {                                                                              \
                __m256i w[4];                                                                                                                       \
                _mm_prefetch((const char *)(codes + 1024), _MM_HINT_T0);                                                                            \
                LOOK_UP(&p, NEXT(codes), w);                                                                                                        \
                for (int v = 0; v < 4; v++) s[v] = _mm256_fmadd_ps(_mm256_castsi256_ps(w[v]), _mm256_loadu_ps(scratch + j + 8 * v), s[v]);          \
            }                                                                                                                                       \
            y[r] = sum(_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));                                                        \
        }                                                                                                                                           \
    }

GEMV(gemv_bytes, next_bytes, 32, look_up_float32, ORDER_FLOAT32)
GEMV(gemv_packed, next_packed, 24, look_up_float32, ORDER_FLOAT32)
GEMV(gemv_bytes_bfloat16, next_bytes, 32, look_up_bfloat16, ORDER_BFLOAT16)
GEMV(gemv_packed_bfloat16, next_packed, 24, look_up_bfloat16, ORDER_BFLOAT16)

/* 8 bits an index into the same table by a gather instruction, as a compiler would write it. */
void gemv_gather(const uint8_t *codes, const float *table, const float *x, float *y, float *scratch, size_t rows, size_t columns) {
    (void)scratch;
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = codes + r * columns;
        __m256 a = _mm256_setzero_ps(), b = a;
        for (size_t j = 0; j < columns; j += 16) {
            __m256i first = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(row + j)));
            __m256i second = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(row + j + 8)));
            a = _mm256_fmadd_ps(_mm256_i32gather_ps(table, first, 4), _mm256_loadu_ps(x + j), a);
            b = _mm256_fmadd_ps(_mm256_i32gather_ps(table, second, 4), _mm256_loadu_ps(x + j + 8), b);
        }
        y[r] = sum(_mm256_add_ps(a, b));
    }
}

/* 192 FLOP a round of independent fused multiply-adds in registers. */
void multiply_adds(size_t rounds) {
    __m256 s[12];
    for (int i = 0; i < 12; i++) s[i] = _mm256_set1_ps((float)i);
    const __m256 m = _mm256_set1_ps(0.999f), a = _mm256_set1_ps(0.001f);
    for (size_t n = 0; n < rounds; n++)
        for (int i = 0; i < 12; i++) s[i] = _mm256_fmadd_ps(s[i], m, a);
    volatile float kept = 0;
    for (int i = 0; i < 12; i++) kept += sum(s[i]);
}

/* Read memory once, in four streams of neighbouring 16 kB as gemv_float32 does. `count` is a multiple of 16384. */
void read_once(const float *data, size_t count) {
    __m256 s[8];
    for (int i = 0; i < 8; i++) s[i] = _mm256_setzero_ps();
    for (size_t start = 0; start < count; start += 4 * 4096)
        for (size_t j = start; j < start + 4096; j += 16)
            for (int i = 0; i < 4; i++) {
                const float *at = data + j + i * 4096;
                _mm_prefetch((const char *)(at + 256), _MM_HINT_T0);
                s[2 * i] = _mm256_add_ps(s[2 * i], _mm256_loadu_ps(at));
                s[2 * i + 1] = _mm256_add_ps(s[2 * i + 1], _mm256_loadu_ps(at + 8));
            }
    volatile float kept = 0;
    for (int i = 0; i < 8; i++) kept += sum(s[i]);
}
