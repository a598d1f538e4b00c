/*  coroutine.cc - a scope that begins in one thread and ends in another

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define ZIBRATO_IMPLEMENTATION
#include "zibrato.h"

#include "wire.h"

#include <atomic>
#include <coroutine>
#include <exception>
#include <thread>

enum { TASKS = 2000 };

//  A coroutine that begins at once and frees itself at its end.
struct task_t {
    struct promise_type {
        task_t get_return_object ()
        {
            return {};
        }
        std::suspend_never initial_suspend () noexcept
        {
            return {};
        }
        std::suspend_never final_suspend () noexcept
        {
            return {};
        }
        void return_void ()
        {
        }
        void unhandled_exception ()
        {
            std::terminate ();
        }
    };
};

//  Leaves it where somebody else can find it.
struct park_t {
    std::coroutine_handle<> *place;
    bool await_ready () const noexcept
    {
        return place == nullptr;
    }
    void await_suspend (std::coroutine_handle<> handle) const noexcept
    {
        *place = handle;
    }
    void await_resume () const noexcept
    {
    }
};

static task_t
s_work (std::coroutine_handle<> *place)
{
    ZB_COUNT_ME ("info", "count");
    ZB_COUNT_ME ("info", "count.source", .source = "shard", .value = 2);
    ZB_TIME_ME ("info", "time");
    co_await park_t{place};
}

static std::coroutine_handle<> s_parked[TASKS];
static std::atomic<int> s_ready;

//  Each task is left to be ended elsewhere, and one more passes the same places
//  meanwhile.
static void
s_begin (void)
{
    for (int i = 0; i < TASKS; i++) {
        s_work (&s_parked[i]);
        s_ready = i + 1;
        s_work (nullptr);
    }
}

static void
s_end (void)
{
    for (int i = 0; i < TASKS; i++) {
        while (s_ready <= i)
            std::this_thread::yield ();
        s_parked[i].resume ();
    }
    s_ready = 0;
}

static void
s_flush (void)
{
    zb_flush (NULL, WIRE_TURN_MS);
}

int
main (void)
{
    static wire_t wire;
    //  three turns, each of which begins and ends so many, and passes as many
    const double passes = 3 * 2 * TASKS;
    const wire_want_t wants[] = {
      {"Counter", "info", "count", "self", passes},
      {"Counter", "info", "count.source", "shard", 2 * passes},
      {"Timer", "info", "time", "self", passes},
      {NULL, NULL, NULL, NULL, 0}};
    wire_open (&wire);
    zb_t *self = zb_open (.endpoint = wire.endpoint, .source = "self",
                          .interval_ms = 3600000);

    std::thread ender (s_end);  //  while the first one goes on
    s_begin ();
    ender.join ();
    std::thread first (s_begin);  //  when it has ended, by one that has never
    first.join ();                //  begun any
    std::thread second (s_end);
    second.join ();
    std::thread third (s_begin);  //  and by one that has
    third.join ();
    s_end ();

    int wrong = wire_check (&wire, wants, s_flush);
    zb_close (&self);
    wire_close (&wire);
    return wrong != 0;
}
