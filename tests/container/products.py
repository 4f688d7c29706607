"""Every function of docker/mkl.c against NumPy; runs inside the image."""

import ctypes
import glob
import math
import sysconfig

import numpy as np

(FILE,) = glob.glob(sysconfig.get_path("platlib") + "/paddle/libs/libmklml_intel.so")
LIBRARY = ctypes.CDLL(FILE)
ROW, COLUMN, AS_IS, TURNED, PACKED, A, B = 101, 102, 111, 112, 151, 161, 162
LEFT, UPPER, PLAIN = 141, 121, 131
M, N, K = 5, 3, 7
dice = np.random.default_rng(1)
tried = set()


def call(name, *arguments, result=None):
    """Call one; arrays go by address, numbers as they are."""
    function = getattr(LIBRARY, name)
    function.restype = result
    tried.add(name)
    made = [
        a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else a for a in arguments
    ]
    return function(*made)


def some(kind, *shape):
    numbers = dice.normal(size=shape)
    return (numbers + 1j * dice.normal(size=shape) if kind in "FD" else numbers).astype(kind)


def same(got, wanted):
    assert np.allclose(got, wanted, atol=1e-4, rtol=1e-4), (got, wanted)


def laid(matrix, order):
    """A matrix in memory by rows or by columns, and the distance between them."""
    if order == ROW:
        return np.ascontiguousarray(matrix), matrix.shape[1]
    return np.asfortranarray(matrix), matrix.shape[0]


def shared(letter, kind):
    """What real and complex numbers have in common."""
    real = kind in "fd"
    number = {"f": ctypes.c_float, "d": ctypes.c_double}.get(kind)

    def scalar(value):
        return number(value) if real else np.array([value], kind)

    for order in (ROW, COLUMN):
        for way in (AS_IS, TURNED):
            a, b, c = some(kind, M, K), some(kind, K, N), some(kind, M, N)
            (left, lda), (right, ldb) = laid(a if way == AS_IS else a.T, order), laid(b, order)
            out, ldc = laid(c.copy(), order)
            numbers = (M, N, K, scalar(2), left, lda, right, ldb, scalar(0.5), out, ldc)
            call(f"cblas_{letter}gemm", order, way, AS_IS, *numbers)
            same(out, 2 * a @ b + 0.5 * c)
    a, x, y = some(kind, M, K), some(kind, 2 * K), some(kind, M)
    wanted = 3 * a @ x[::2] + y
    call(f"cblas_{letter}gemv", ROW, AS_IS, M, K, scalar(3), a, K, x, 2, scalar(1), y, 1)
    same(y, wanted)
    x, y = some(kind, 6), some(kind, 6)
    wanted = y + 2 * x
    call(f"cblas_{letter}axpy", 6, scalar(2), x, 1, y, 1)
    same(y, wanted)
    call(f"cblas_{letter}copy", 3, x, 2, y, 1)
    same(y[:3], x[::2])
    a, b = np.triu(some(kind, M, M)) + 3 * np.eye(M, dtype=kind), some(kind, M, N)
    wanted = np.linalg.solve(a, 2 * b)
    call(f"cblas_{letter}trsm", ROW, LEFT, UPPER, AS_IS, PLAIN, M, N, scalar(2), a, M, b, N)
    same(b, wanted)
    batch(letter, kind)


def batch(letter, kind):
    """Two groups: two products of one size, one of another."""
    sizes = [(2, 3, 4), (2, 3, 4), (5, 2, 3)]
    groups = [sizes[0], sizes[2]]
    a = [some(kind, m, k) for m, _, k in sizes]
    b = [some(kind, k, n) for _, n, k in sizes]
    c = [np.ones((m, n), kind) for m, n, _ in sizes]
    m, n, k = (np.array([g[i] for g in groups], np.int32) for i in range(3))
    alpha, beta = np.array([2, 3], kind), np.array([1, 0.5], kind)
    ways, counts = np.array([AS_IS] * 2, np.int32), np.array([2, 1], np.int32)
    at = [np.array([x.ctypes.data for x in matrices], np.uintp) for matrices in (a, b, c)]
    numbers = (ways, ways, m, n, k, alpha, at[0], k, at[1], n, beta, at[2], n, 2, counts)
    call(f"cblas_{letter}gemm_batch", ROW, *numbers)
    for i in range(3):
        group = max(0, i - 1)
        same(c[i], alpha[group] * a[i] @ b[i] + beta[group])


def real(letter, kind):
    """What only real numbers have."""
    number = {"f": ctypes.c_float, "d": ctypes.c_double}[kind]
    x, y = some(kind, 9), some(kind, 9)
    same(call(f"cblas_{letter}dot", 9, x, 1, y, 1, result=number), x @ y)
    same(call(f"cblas_{letter}asum", 9, x, 1, result=number), abs(x).sum())
    assert call(f"cblas_i{letter}amax", 9, x, 1, result=ctypes.c_size_t) == abs(x).argmax()
    wanted = 2 * x
    call(f"cblas_{letter}scal", 9, number(2), x, 1)
    same(x, wanted)
    for order in (ROW, COLUMN):
        for way in (AS_IS, TURNED):
            for which in (A, B):
                packed(letter, kind, number, order, way, which)
    vectors(letter, kind, number)


def packed(letter, kind, number, order, way, which):
    """A product one side of which was packed before, times a number."""
    a, b = some(kind, M, K), some(kind, K, N)
    side = a if which == A else b
    source, ld = laid(side if way == AS_IS else side.T, order)
    name = f"cblas_{letter}gemm_"
    to = ctypes.c_void_p(call(name + "alloc", which, M, N, K, result=ctypes.c_void_p))
    call(name + "pack", order, which, way, M, N, K, number(3), source, ld, to)
    (left, lda), (right, ldb), (out, ldc) = (laid(x, order) for x in (a, b, np.ones((M, N), kind)))
    first = (PACKED, AS_IS) if which == A else (AS_IS, PACKED)
    matrices = (to, 1, right, ldb) if which == A else (left, lda, to, 1)
    call(name + "compute", order, *first, M, N, K, *matrices, number(2), out, ldc)
    call(name + "free", to)
    same(out, 3 * a @ b + 2)


def vectors(letter, kind, number):
    """Number by number."""
    a, b, y = abs(some(kind, 9)) + 0.1, abs(some(kind, 9)) + 0.1, np.zeros(9, kind)
    two = {"Add": a + b, "Sub": a - b, "Mul": a * b, "Div": a / b}
    for name, wanted in two.items():
        call(f"v{letter}{name}", 9, a, b, y)
        same(y, wanted)
    for name, wanted in {"Sqr": a * a, "Inv": 1 / a, "Exp": np.exp(a)}.items():
        call(f"v{letter}{name}", 9, a, y)
        same(y, wanted)
    call(f"v{letter}Powx", 9, a, number(1.5), y)
    same(y, a**1.5)
    call(f"vm{letter}Erf", 9, a, y, ctypes.c_int64(0))
    same(y, [math.erf(value) for value in a])


for letter, kind in zip("sdcz", "fdFD", strict=True):
    shared(letter, kind)
for letter, kind in zip("sd", "fd", strict=True):
    real(letter, kind)
call("MKL_Set_Num_Threads", 1)
assert call("MKL_Get_Max_Threads", result=ctypes.c_int) == 1
call("MKL_Free_Buffers")
print(f"all right: {len(tried)} functions")
