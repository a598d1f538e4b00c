/*  user.c - a file of a program that measures, as C and as C++

    It sees zibrato.h and nothing else: no ZeroMQ, no system header. What it
    measures is checked by body.c, to which it is linked.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "user.h"

//  --------------------------------------------------------------------------
//  Options: each alone, and every order of those that can stand together.
//  self is the source of the default instance, other that of the other one.

//  self: 1 + 2, other: 1 + 2 + 2, q1: 1 + 2 + 2 + 1 + 1 + 6 * 2
static void
s_count_scopes (zb_t *other, const char *q1, int two)
{
    ZB_COUNT_ME ("info", "orders.scope");
    ZB_COUNT_ME ("info", "orders.scope", .value = two);
    ZB_COUNT_ME ("info", "orders.scope", .source = q1);
    ZB_COUNT_ME ("info", "orders.scope", .to = other);
    ZB_COUNT_ME ("info", "orders.scope", .value = two, .source = q1);
    ZB_COUNT_ME ("info", "orders.scope", .source = q1, .value = two);
    ZB_COUNT_ME ("info", "orders.scope", .value = two, .to = other);
    ZB_COUNT_ME ("info", "orders.scope", .to = other, .value = two);
    ZB_COUNT_ME ("info", "orders.scope", .source = q1, .to = other);
    ZB_COUNT_ME ("info", "orders.scope", .to = other, .source = q1);
    ZB_COUNT_ME ("info", "orders.scope", .value = 2, .source = q1, .to = other);
    ZB_COUNT_ME ("info", "orders.scope", .value = 2, .to = other, .source = q1);
    ZB_COUNT_ME ("info", "orders.scope", .source = q1, .value = 2, .to = other);
    ZB_COUNT_ME ("info", "orders.scope", .source = q1, .to = other, .value = 2);
    ZB_COUNT_ME ("info", "orders.scope", .to = other, .value = 2, .source = q1);
    ZB_COUNT_ME ("info", "orders.scope", .to = other, .source = q1, .value = 2);
}

//  The same sums again, for a name that is known only at run time.
static void
s_count_calls (zb_t *other, const char *q1, int two)
{
    const char *level = "info", *name = "orders.call";
    zb_count (level, name);
    zb_count (level, name, .value = two);
    zb_count (level, name, .source = q1);
    zb_count (level, name, .to = other);
    zb_count (level, name, .value = two, .source = q1);
    zb_count (level, name, .source = q1, .value = two);
    zb_count (level, name, .value = two, .to = other);
    zb_count (level, name, .to = other, .value = two);
    zb_count (level, name, .source = q1, .to = other);
    zb_count (level, name, .to = other, .source = q1);
    zb_count (level, name, .value = two, .source = q1, .to = other);
    zb_count (level, name, .value = two, .to = other, .source = q1);
    zb_count (level, name, .source = q1, .value = two, .to = other);
    zb_count (level, name, .source = q1, .to = other, .value = two);
    zb_count (level, name, .to = other, .value = two, .source = q1);
    zb_count (level, name, .to = other, .source = q1, .value = two);
}

//  Samples, self: 1, other: 1, q1: 1 + 1 + 1
static void
s_time (zb_t *other, const char *q1)
{
    ZB_TIME_ME ("debug", "orders.time");
    ZB_TIME_ME ("debug", "orders.time", .source = q1);
    ZB_TIME_ME ("debug", "orders.time", .to = other);
    ZB_TIME_ME ("debug", "orders.time", .source = q1, .to = other);
    ZB_TIME_ME ("debug", "orders.time", .to = other, .source = q1);

    const char *level = "debug", *name = "orders.seconds";
    zb_time (level, name, 0.5);
    zb_time (level, name, 0.5, .source = q1);
    zb_time (level, name, 0.5, .to = other);
    zb_time (level, name, 0.5, .source = q1, .to = other);
    zb_time (level, name, 0.5, .to = other, .source = q1);
}

//  The same readings, and one of each type that a reading may have.
static void
s_gauge (zb_t *other, const char *q1)
{
    ZB_GAUGE ("crit", "orders.gauge", 1.5);
    ZB_GAUGE ("crit", "orders.gauge", 1.5, .source = q1);
    ZB_GAUGE ("crit", "orders.gauge", 1.5, .to = other);
    ZB_GAUGE ("crit", "orders.gauge", 1.5, .source = q1, .to = other);
    ZB_GAUGE ("crit", "orders.gauge", 1.5, .to = other, .source = q1);

    const char *level = "crit", *name = "orders.reading";
    zb_gauge (level, name, 1.5);
    zb_gauge (level, name, 1.5, .source = q1);
    zb_gauge (level, name, 1.5, .to = other);
    zb_gauge (level, name, 1.5, .source = q1, .to = other);
    zb_gauge (level, name, 1.5, .to = other, .source = q1);

    int integer = -1;
    float single = 2.0f;
    unsigned char byte = 200;
    ZB_GAUGE ("crit", "types", integer);
    ZB_GAUGE ("crit", "types", single);
    ZB_GAUGE ("crit", "types", byte);
    ZB_GAUGE ("crit", "types", integer < 0 ? 1 : 0);
    ZB_GAUGE ("crit", "types", 0);
}

//  Tags in any order, beside other options. Self: 1 + 2 + 4, 5 samples, 1 reading;
//  q1: 8, 1 + 7 samples, 1 reading
static void
s_tags (zb_t *other, const char *tags)
{
    ZB_COUNT_ME ("info", "tags", .tags = tags);
    ZB_COUNT_ME ("info", "tags", .value = 2, .tags = "a=1;b=2");
    zb_count ("info", "tags", .source = "q1", .tags = tags, .to = other,
              .value = 8);
    zb_count ("info", "tags;a=1", .tags = "b=2", .value = 4);
    ZB_TIME_ME ("info", "tags", .source = "q1", .tags = tags);
    zb_time ("info", "tags", 0.5, .tags = tags, .count = 5);
    zb_time ("info", "tags", 0.5, .count = 7, .to = other, .source = "q1",
             .tags = tags);
    ZB_GAUGE ("info", "tags", 2, .tags = tags, .to = other, .source = "q1");
    zb_gauge ("info", "tags", 1, .time = 1700000000.25, .tags = tags);
}

//  --------------------------------------------------------------------------
//  Scopes: a scope macro does its work however the scope is left. Each of
//  these is called three times.

static int
s_leave_by_return (int turn)
{
    ZB_COUNT_ME ("info", "leave.return");
    ZB_TIME_ME ("info", "leave.return");
    if (turn == 0)
        return 1;
    return turn;
}

//  Turn 0 breaks in its first pass, 1 in its second ...: 1 + 2 + 3
static void
s_leave_by_break (int turn)
{
    for (int pass = 0; pass < 3; pass++) {
        ZB_COUNT_ME ("info", "leave.break");
        ZB_TIME_ME ("info", "leave.break");
        if (pass == turn)
            break;
    }
}

//  3 passes each, and 2 that do not continue
static void
s_leave_by_continue (int turn)
{
    for (int pass = 0; pass < 3; pass++) {
        ZB_COUNT_ME ("info", "leave.continue");
        ZB_TIME_ME ("info", "leave.continue");
        if (pass == turn)
            continue;
        ZB_COUNT_ME ("info", "leave.not_continue");
    }
}

//  Backward until the third pass, then forward: 3 each
static void
s_leave_by_goto (void)
{
    int pass = 0;
again:
    pass++;
    {
        ZB_COUNT_ME ("info", "leave.goto");
        ZB_TIME_ME ("info", "leave.goto");
        if (pass < 3)
            goto again;
        goto out;
    }
out:
    return;
}

//  A block of a switch, and one that an if alone makes.
static void
s_leave_block (int turn)
{
    switch (turn) {
        case 0: {
            ZB_COUNT_ME ("info", "leave.case");
            break;
        }
        default: {
            ZB_COUNT_ME ("info", "leave.default", .value = turn);
        }
    }
    if (turn == 1) {
        ZB_COUNT_ME ("info", "leave.if");
    }
    if (turn == 1)
        ZB_GAUGE ("info", "leave.then", turn);
    else
        ZB_GAUGE ("info", "leave.else", turn);
    if (turn == 1)
        zb_count ("info", "leave.call_then");
    else
        zb_count ("info", "leave.call_else");
}

//  5 frames a call; what a counter adds is read when it is passed
static int
s_leave_recursion (int depth)
{
    ZB_COUNT_ME ("info", "leave.recursion");
    ZB_COUNT_ME ("info", "leave.depth", .value = depth);
    ZB_TIME_ME ("info", "leave.recursion");
    return depth++ < 4 ? s_leave_recursion (depth) : depth;
}

//  Zero is a value, and a series has several sites.
static void
s_values (void)
{
    int zero = 0;
    ZB_COUNT_ME ("info", "values.zero", .value = zero);
    ZB_COUNT_ME ("info", "values.negative", .value = -2);
    ZB_COUNT_ME ("info", "values.fraction", .value = 0.25);
    ZB_COUNT_ME ("info", "values.sites");
    ZB_COUNT_ME ("info", "values.sites");
    zb_count ("info", "values.sites");
    ZB_COUNT_ME ("info", "values"
                         ".joined");
}

//  --------------------------------------------------------------------------
//  What only C++ has

#ifdef __cplusplus

template <typename T>
static T
s_twice (T value)
{
    ZB_COUNT_ME ("info", "cxx.template", .value = value);
    return value + value;
}

class thing_t {
  public:
    thing_t ()
    {
        ZB_COUNT_ME ("info", "cxx.constructor");
    }
    int verb () const
    {
        ZB_TIME_ME ("info", "cxx.method");
        return 1;
    }
};

#ifdef __EXCEPTIONS
static void
s_throw (int turn)
{
    ZB_COUNT_ME ("info", "leave.throw");
    ZB_TIME_ME ("info", "leave.throw");
    if (turn < 2)
        throw turn;
}

static void
s_leave_by_throw (int turn)
{
    try {
        ZB_COUNT_ME ("info", "leave.try");
        s_throw (turn);
    } catch (int caught) {
        ZB_COUNT_ME ("info", "leave.catch", .value = caught);
    }
}
#else
#define s_leave_by_throw(turn) (void) turn
#endif

static void
s_only_cxx (int turn)
{
    s_leave_by_throw (turn);
    s_twice (1);
    s_twice (0.5);
    thing_t ().verb ();
    auto lambda = [turn] () {
        ZB_COUNT_ME ("info", "cxx.lambda");
        ZB_GAUGE ("info", "cxx.lambda", turn);
    };
    lambda ();
}
#else
#define s_only_cxx(turn) (void) turn
#endif

//  --------------------------------------------------------------------------

void
user_measure (zb_t *other)
{
    s_count_scopes (other, "q1", 2);
    s_count_calls (other, "q1", 2);
    s_time (other, "q1");
    s_gauge (other, "q1");
    s_tags (other, "b=2;a=1");
    for (int turn = 0; turn < 3; turn++) {
        s_leave_by_return (turn);
        s_leave_by_break (turn);
        s_leave_by_continue (turn);
        s_leave_by_goto ();
        s_leave_block (turn);
        s_leave_recursion (0);
        s_values ();
        s_only_cxx (turn);
    }
}

void
user_measure_refused (double nan, double inf)
{
    ZB_COUNT_ME ("info", "refused", .value = nan);
    ZB_GAUGE ("info", "refused", inf);
    zb_count ("info", "refused", .value = -inf);
    zb_time ("info", "refused", nan);
    zb_gauge ("info", "refused", nan);
}
