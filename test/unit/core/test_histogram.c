/*  test_histogram.c - does each duration lie in the bucket that the wire format
    says, and are quantiles as near as promised?

    v nanoseconds are in bucket i if 2^(i/32) < v / 10^9 <= 2^((i+1)/32). To the
    32nd power and without fractions that is a comparison of whole numbers,
    v^32 with 2^i * 10^288, so the check is exact: no logarithm, no rounding.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

//  The body, with its statics.
#define ZIBRATO_IMPLEMENTATION
#include "../../../zibrato.h"

#include "../unit.h"

#include "hist.h"

//  --------------------------------------------------------------------------
//  Whole numbers of 3072 bits, least limb first

enum { LIMBS = 48, BUCKETS_ALL = ZB_PAGES_ * ZB_PAGE_SIZE_, SHIFT = 669 };

__extension__ typedef unsigned __int128 big_product_t;

typedef struct {
    uint64_t limb[LIMBS];
} big_t;

static void
big_multiply (big_t *product, const big_t *a, const big_t *b, int limbs)
{
    int i, j;
    memset (product, 0, sizeof *product);
    for (i = 0; i < limbs; i++) {
        uint64_t carry = 0;
        for (j = 0; j < limbs; j++) {
            big_product_t sum = (big_product_t) a->limb[i] * b->limb[j]
                                + product->limb[i + j] + carry;
            product->limb[i + j] = (uint64_t) sum;
            carry = (uint64_t) (sum >> 64);
        }
        product->limb[i + limbs] = carry;
    }
}

static void
big_shift (big_t *self, int bits)
{
    int i, limbs = bits / 64, rest = bits % 64;
    for (i = LIMBS - 1; i >= 0; i--) {
        uint64_t high = i >= limbs ? self->limb[i - limbs] : 0;
        uint64_t low = i > limbs ? self->limb[i - limbs - 1] : 0;
        self->limb[i] = rest ? high << rest | low >> (64 - rest) : high;
    }
}

static int
big_compare (const big_t *a, const big_t *b)
{
    int i;
    for (i = LIMBS - 1; i >= 0; i--)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

//  --------------------------------------------------------------------------
//  Edges: 2^i * 10^288 * 2^669, so that the least exponent, -957 + 288, is 0

static big_t s_edge[BUCKETS_ALL + 1];

static int
s_setup (void **state)
{
    big_t five = {{5}}, power = {{1}}, next;
    int i;
    (void) state;
    for (i = 0; i < 288; i++) {
        big_multiply (&next, &power, &five, 12);
        power = next;
    }
    for (i = 0; i <= BUCKETS_ALL; i++) {
        s_edge[i] = power;
        big_shift (&s_edge[i], ZB_BUCKET_0_ + i + 288 + SHIFT);
    }
    return 0;
}

static void
s_power (big_t *power, uint64_t ns)
{
    big_t half = {{ns}};
    int limbs;
    for (limbs = 1; limbs < 32; limbs *= 2) {
        big_multiply (power, &half, &half, limbs);
        half = *power;
    }
    big_shift (power, SHIFT);
}

//  The bucket that the header and the executable say, each by means of its own.
static unsigned
s_bucket (uint64_t ns)
{
    unsigned bucket = zb_bucket_ (ns);
    assert_int_equal (hist_bucket (ns), (int) bucket + ZB_BUCKET_0_);
    return bucket;
}

static void
s_check (uint64_t ns)
{
    big_t power;
    unsigned bucket = s_bucket (ns);
    assert_true (bucket < BUCKETS_ALL);
    s_power (&power, ns);
    if (big_compare (&power, &s_edge[bucket]) <= 0
        || big_compare (&power, &s_edge[bucket + 1]) > 0)
        fail_msg ("%" PRIu64 " ns is not in bucket %u", ns, bucket);
}

static void
test_bucket_small (void **state)
{
    uint64_t ns;
    (void) state;
    assert_int_equal (s_bucket (0), s_bucket (1));
    for (ns = 1; ns <= 1000000; ns++)
        s_check (ns);
}

static void
test_bucket_powers (void **state)
{
    uint64_t ns;
    int i;
    (void) state;
    for (i = 0; i < 64; i++) {
        s_check (1ull << i);
        if (i)
            s_check ((1ull << i) - 1);
        s_check ((1ull << i) + 1);
    }
    for (ns = 1; ns <= UINT64_MAX / 10; ns *= 10)
        s_check (ns);
    s_check (UINT64_MAX);
    assert_int_equal (ZB_BUCKET_0_, BUCKET_MIN);
    assert_true (hist_bucket (UINT64_MAX) <= BUCKET_MAX);
    //  a second is the upper edge of bucket -1
    assert_int_equal ((int) s_bucket (1000000000) + ZB_BUCKET_0_, -1);
    assert_int_equal ((int) s_bucket (1000000001) + ZB_BUCKET_0_, 0);
}

//  The last of each bucket and the first of the next, found by halving.
static void
test_bucket_edges (void **state)
{
    uint64_t low = 1, high, middle;
    (void) state;
    while (s_bucket (low) < s_bucket (UINT64_MAX)) {
        unsigned bucket = s_bucket (low);
        uint64_t last = low;
        high = UINT64_MAX;
        while (last + 1 < high) {
            middle = last + (high - last) / 2;
            if (s_bucket (middle) == bucket)
                last = middle;
            else
                high = middle;
        }
        s_check (last);
        s_check (high);
        low = high;
    }
}

static void
test_bucket_random (void **state)
{
    int i;
    (void) state;
    for (i = 0; i < 200000; i++) {
        uint64_t ns = s_any () >> s_any () % 64;
        s_check (ns ? ns : 1);
    }
}

static void
test_edge_ns (void **state)
{
    int index;
    (void) state;
    for (index = ZB_BUCKET_0_; index < ZB_BUCKET_0_ + BUCKETS_ALL; index++) {
        double low = hist_edge_ns (index), high = hist_edge_ns (index + 1);
        double middle = floor ((low + high) / 2);
        if (high > 9e18)
            break;  //  beyond what a duration may be
        assert_true (high / low < 1.0220 && high / low > 1.0218);
        if (middle > 1000)
            assert_int_equal ((int) s_bucket ((uint64_t) middle) + ZB_BUCKET_0_,
                              index);
    }
}

//  --------------------------------------------------------------------------
//  The list of buckets

static void
test_place (void **state)
{
    uint64_t model[BUCKETS_ALL];
    int round, i;
    (void) state;
    for (round = 0; round < 200; round++) {
        hist_t hist = {NULL, 0, 0};
        size_t at, used = 0;
        memset (model, 0, sizeof model);
        for (i = 0; i < 50; i++) {
            int index = (int) (s_any () % 40), step;
            //  callers go up, from wherever they begin
            for (at = 0, step = 0; step < 5; step++) {
                uint64_t more = 1 + s_any () % 9;
                bucket_t *bucket =
                  hist_place (&hist, &at, index + ZB_BUCKET_0_);
                assert_int_equal (bucket->index, index + ZB_BUCKET_0_);
                assert_int_equal (bucket->count, model[index]);
                bucket->count += more;
                model[index] += more;
                index += (int) (s_any () % 400);
                if (index >= BUCKETS_ALL)
                    break;
            }
        }
        for (i = 0, at = 0; i < BUCKETS_ALL; i++)
            if (model[i]) {
                assert_int_equal (hist.bucket[at].index, i + ZB_BUCKET_0_);
                assert_int_equal (hist.bucket[at].count, model[i]);
                at++;
                used++;
            }
        assert_int_equal (hist.size, used);
        free (hist.bucket);
    }
}

static int
s_by_value (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

//  Against the sorted samples: the nearest rank, at most 1.1 % off.
static void
test_quantile (void **state)
{
    static const double shares[] = {0.001, 0.01, 0.1,  0.25, 0.5,
                                    0.75,  0.9,  0.95, 0.99, 0.999};
    static uint64_t samples[5000];
    int round;
    size_t i;
    (void) state;
    for (round = 0; round < 200; round++) {
        hist_t hist = {NULL, 0, 0};
        size_t count = 1 + s_any () % 5000, shift = s_any () % 40;
        for (i = 0; i < count; i++) {
            size_t at = 0;
            samples[i] = 1000 + (s_any () >> 24 >> s_any () % (shift + 1));
            hist_place (&hist, &at, (int) s_bucket (samples[i]) + ZB_BUCKET_0_)
              ->count++;
        }
        qsort (samples, count, sizeof *samples, s_by_value);
        for (i = 0; i < sizeof shares / sizeof *shares; i++) {
            size_t rank = (size_t) ceil (shares[i] * (double) count);
            double wanted = (double) samples[rank - 1];
            double got = hist_quantile_ns (&hist, shares[i]);
            if (fabs (got - wanted) > wanted * 0.011)
                fail_msg ("share %g of %zu: %g, expected %g", shares[i], count,
                          got, wanted);
        }
        free (hist.bucket);
    }
}

static void
test_quantile_edges (void **state)
{
    hist_t hist = {NULL, 0, 0};
    size_t at = 0;
    (void) state;
    assert_true (hist_quantile_ns (&hist, 0.5) == 0);
    hist_place (&hist, &at, -1)->count = 1;
    assert_true (fabs (hist_quantile_ns (&hist, 0.0001) - 1e9) < 1.1e7);
    assert_true (fabs (hist_quantile_ns (&hist, 0.9999) - 1e9) < 1.1e7);
    //  an empty bucket holds nobody
    hist_place (&hist, &at, 31)->count = 0;
    assert_true (fabs (hist_quantile_ns (&hist, 0.99) - 1e9) < 1.1e7);
    free (hist.bucket);
}

//  hist_at finds or makes the bucket of any index, in any order, with gaps between
//  them and without.
static void
test_at (void **state)
{
    enum { MOST = 96 };
    int run, i, index;
    (void) state;
    for (run = 0; run < 3000; run++) {
        int count[MOST] = {0}, range = 1 + (int) (s_any () % MOST);
        int samples = (int) (s_any () % 300), low = BUCKET_MIN + run % 900;
        hist_t hist = {NULL, 0, 0};
        uint32_t at = 0;
        for (i = 0; i < samples; i++) {
            index = (int) (s_any () % (uint64_t) range);
            count[index]++;
            hist_at (&hist, low + index)->count++;
        }
        for (index = 0; index < range; index++)
            if (count[index]) {
                assert_true (at < hist.size);
                assert_int_equal (hist.bucket[at].index, low + index);
                assert_int_equal (hist.bucket[at++].count, count[index]);
            }
        assert_int_equal (at, hist.size);
        free (hist.bucket);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_bucket_small),
                                       cmocka_unit_test (test_bucket_powers),
                                       cmocka_unit_test (test_bucket_edges),
                                       cmocka_unit_test (test_bucket_random),
                                       cmocka_unit_test (test_edge_ns),
                                       cmocka_unit_test (test_place),
                                       cmocka_unit_test (test_quantile),
                                       cmocka_unit_test (test_quantile_edges),
                                       cmocka_unit_test (test_at)};
    return cmocka_run_group_tests_name ("histogram", tests, s_setup, NULL);
}
