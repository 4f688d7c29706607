/* The part of MKL that Paddle calls, on the OpenBLAS that NumPy brings along.
 *
 * Paddle opens libmklml_intel.so by name when a kernel first multiplies matrices outside oneDNN, and
 * asks it for the functions below and no others (phi/backends/dynload/mklml.h; docker/slim.py
 * compares that list with the names in Paddle's libraries). MKL is 130 MB; this is 30 kB.
 *
 * MKL's whole numbers are int here and OpenBLAS's are 64 bits wide, hence the suffix 64_.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { ROW_MAJOR = 101, NO_TRANS = 111, PACKED = 151, A_MATRIX = 161 };
typedef int64_t wide;
typedef const void *in;
typedef void *out;

/* Numbers of T by value (real) or by pointer (complex): S is how a scalar is passed. */
#define SHARED(p, S) \
    void cblas_##p##gemm64_(int, int, int, wide, wide, wide, S, in, wide, in, wide, S, out, wide); \
    void cblas_##p##gemm(int order, int ta, int tb, int m, int n, int k, S alpha, in a, int lda, in b, \
                         int ldb, S beta, out c, int ldc) { \
        cblas_##p##gemm64_(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc); \
    } \
    void cblas_##p##gemv64_(int, int, wide, wide, S, in, wide, in, wide, S, out, wide); \
    void cblas_##p##gemv(int order, int ta, int m, int n, S alpha, in a, int lda, in x, int incx, S beta, \
                         out y, int incy) { \
        cblas_##p##gemv64_(order, ta, m, n, alpha, a, lda, x, incx, beta, y, incy); \
    } \
    void cblas_##p##axpy64_(wide, S, in, wide, out, wide); \
    void cblas_##p##axpy(int n, S alpha, in x, int incx, out y, int incy) { \
        cblas_##p##axpy64_(n, alpha, x, incx, y, incy); \
    } \
    void cblas_##p##copy64_(wide, in, wide, out, wide); \
    void cblas_##p##copy(int n, in x, int incx, out y, int incy) { cblas_##p##copy64_(n, x, incx, y, incy); } \
    void cblas_##p##trsm64_(int, int, int, int, int, wide, wide, S, in, wide, out, wide); \
    void cblas_##p##trsm(int order, int side, int uplo, int ta, int diag, int m, int n, S alpha, in a, \
                         int lda, out b, int ldb) { \
        cblas_##p##trsm64_(order, side, uplo, ta, diag, m, n, alpha, a, lda, b, ldb); \
    }

/* Groups of products, all of a group alike. AT(x, g) is a group's scalar as S wants it. */
#define BATCH(p, S, T, AT) \
    void cblas_##p##gemm_batch(int order, const int *ta, const int *tb, const int *m, const int *n, \
                               const int *k, const T *alpha, in *a, const int *lda, in *b, \
                               const int *ldb, const T *beta, out *c, const int *ldc, int groups, \
                               const int *sizes) { \
        for (int g = 0, next = 0; g < groups; g++) \
            for (int i = 0; i < sizes[g]; i++, next++) \
                cblas_##p##gemm64_(order, ta[g], tb[g], m[g], n[g], k[g], AT(alpha, g), a[next], lda[g], \
                                   b[next], ldb[g], AT(beta, g), c[next], ldc[g]); \
    }

/* A packed matrix is here the matrix itself times alpha, upright, without gaps between its rows. */
#define REAL(p, T) \
    SHARED(p, T) \
    T cblas_##p##dot64_(wide, in, wide, in, wide); \
    T cblas_##p##dot(int n, in x, int incx, in y, int incy) { return cblas_##p##dot64_(n, x, incx, y, incy); } \
    T cblas_##p##asum64_(wide, in, wide); \
    T cblas_##p##asum(int n, in x, int incx) { return cblas_##p##asum64_(n, x, incx); } \
    size_t cblas_i##p##amax64_(wide, in, wide); \
    size_t cblas_i##p##amax(int n, in x, int incx) { return cblas_i##p##amax64_(n, x, incx); } \
    void cblas_##p##scal64_(wide, T, out, wide); \
    void cblas_##p##scal(int n, T alpha, out x, int incx) { cblas_##p##scal64_(n, alpha, x, incx); } \
    T *cblas_##p##gemm_alloc(int which, int m, int n, int k) { \
        size_t rows = which == A_MATRIX ? m : k, columns = which == A_MATRIX ? k : n; \
        return malloc(sizeof(T) * (rows * columns + 1)); \
    } \
    void cblas_##p##gemm_free(T *packed) { free(packed); } \
    void cblas_##p##gemm_pack(int order, int which, int trans, int m, int n, int k, T alpha, const T *from, \
                              int ld, T *to) { \
        size_t rows = which == A_MATRIX ? m : k, columns = which == A_MATRIX ? k : n; \
        size_t outer = order == ROW_MAJOR ? rows : columns, inner = order == ROW_MAJOR ? columns : rows; \
        for (size_t i = 0; i < outer; i++) \
            for (size_t j = 0; j < inner; j++) \
                to[i * inner + j] = alpha * (trans == NO_TRANS ? from[i * ld + j] : from[j * ld + i]); \
    } \
    void cblas_##p##gemm_compute(int order, int ta, int tb, int m, int n, int k, in a, int lda, in b, \
                                 int ldb, T beta, out c, int ldc) { \
        int row = order == ROW_MAJOR; \
        if (ta == PACKED) ta = NO_TRANS, lda = row ? k : m; \
        if (tb == PACKED) tb = NO_TRANS, ldb = row ? n : k; \
        cblas_##p##gemm64_(order, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc); \
    }

#define EACH(name, T, arguments, value) \
    void name arguments { \
        for (int i = 0; i < n; i++) y[i] = value; \
    }

#define VECTORS(v, T, f) \
    EACH(v##Add, T, (int n, const T *a, const T *b, T *y), a[i] + b[i]) \
    EACH(v##Sub, T, (int n, const T *a, const T *b, T *y), a[i] - b[i]) \
    EACH(v##Mul, T, (int n, const T *a, const T *b, T *y), a[i] * b[i]) \
    EACH(v##Div, T, (int n, const T *a, const T *b, T *y), a[i] / b[i]) \
    EACH(v##Sqr, T, (int n, const T *a, T *y), a[i] * a[i]) \
    EACH(v##Inv, T, (int n, const T *a, T *y), 1 / a[i]) \
    EACH(v##Exp, T, (int n, const T *a, T *y), exp##f(a[i])) \
    EACH(v##Powx, T, (int n, const T *a, T b, T *y), pow##f(a[i], b))

#define VALUE(x, g) x[g]
#define ADDRESS(x, g) ((const char *)x + 2 * sizeof(float) * g)
#define WIDE_ADDRESS(x, g) ((const char *)x + 2 * sizeof(double) * g)

REAL(s, float)
REAL(d, double)
SHARED(c, in)
SHARED(z, in)
BATCH(s, float, float, VALUE)
BATCH(d, double, double, VALUE)
BATCH(c, in, void, ADDRESS)
BATCH(z, in, void, WIDE_ADDRESS)
VECTORS(vs, float, f)
VECTORS(vd, double, )
EACH(vmsErf, float, (int n, const float *a, float *y, int64_t mode), ((void)mode, erff(a[i])))
EACH(vmdErf, double, (int n, const double *a, double *y, int64_t mode), ((void)mode, erf(a[i])))

void openblas_set_num_threads64_(int);
int openblas_get_num_threads64_(void);
void MKL_Set_Num_Threads(int threads) { openblas_set_num_threads64_(threads); }
int MKL_Get_Max_Threads(void) { return openblas_get_num_threads64_(); }
void MKL_Free_Buffers(void) {}
