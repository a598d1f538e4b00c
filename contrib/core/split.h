/*  split - a text at its bars, many bytes at once

    Of line.c, where all of it is inlined: it is most of the work on a line.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SPLIT_H
#define ZB_SPLIT_H

#include "line.h"

#include <endian.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { SPLIT_MAX = 7 };  //  bars that are looked for, at most

//  A block of bytes is looked through at once: STEP of them, each as MARK bits
//  of what is found, the first as the lowest.
#ifdef __SSE2__

enum { STEP = 16, MARK = 1 };

typedef __m128i block_t;

static inline block_t
s_block (const char *text)
{
    return _mm_loadu_si128 ((const block_t *) (const void *) text);
}

static inline uint64_t
s_bars (block_t block)
{
    return (unsigned) _mm_movemask_epi8 (
      _mm_cmpeq_epi8 (block, _mm_set1_epi8 ('|')));
}

//  Not 0 if there are control characters.
static inline uint64_t
s_controls (block_t block)
{
    __m128i below =
      _mm_cmpeq_epi8 (_mm_min_epu8 (block, _mm_set1_epi8 (0x1f)), block);
    __m128i deletes = _mm_cmpeq_epi8 (block, _mm_set1_epi8 (0x7f));
    return (unsigned) _mm_movemask_epi8 (_mm_or_si128 (below, deletes));
}

#else

enum { STEP = 8, MARK = 8 };

typedef uint64_t block_t;

static inline block_t
s_block (const char *text)
{
    block_t block;
    memcpy (&block, text, sizeof block);
    return le64toh (block);
}

//  Each byte of a word is this one.
#define EACH(byte) (0x0101010101010101u * (byte))

//  Warren, "Hacker's Delight", section 6-1.
static inline uint64_t
s_bars (block_t block)
{
    block ^= EACH ('|');
    return ~(((block & EACH (0x7f)) + EACH (0x7f)) | block | EACH (0x7f));
}

//  Not 0 if there are control characters.
static inline uint64_t
s_controls (block_t block)
{
    uint64_t deletes = block ^ EACH (0x7f);
    return (((block - EACH (0x20)) & ~block)
            | ((deletes - EACH (1)) & ~deletes))
           & EACH (0x80);
}

#endif

//  Fields of a text, as far as it was looked through.
typedef struct {
    span_t field[SPLIT_MAX + 1];
    size_t bars;        //  found so far,
    const char *begin;  //  and what is behind the last one
    uint64_t controls;  //  not 0: there are control characters
} split_t;

//  Takes in the bars of a block, at most until there are so many.
static inline void
split_bars (split_t *self, const char *text, uint64_t bars, size_t most)
{
    const char *end;
    for (; bars && self->bars < most; bars &= bars - 1) {
        end = text + (size_t) __builtin_ctzll (bars) / MARK;
        self->field[self->bars++] =
          (span_t){self->begin, (size_t) (end - self->begin)};
        self->begin = end + 1;
    }
}

//  Splits what is shorter than a block.
static inline void
split_few (split_t *self, const char *text, size_t size, size_t most)
{
    char few[STEP];
    block_t block;
    memset (few, ' ', sizeof few);
    memcpy (few, text, size);
    block = s_block (few);
    self->controls = s_controls (block);
    split_bars (self, text, s_bars (block), most);
}

//  Splits what is not. The last block begins in the one before it, for a copy of
//  what is left would take longer than all else.
static inline void
split_many (split_t *self, const char *text, const char *end, size_t most)
{
    const char *last = end - STEP;
    block_t block;
    for (; text < last && self->bars < most; text += STEP) {
        block = s_block (text);
        self->controls |= s_controls (block);
        split_bars (self, text, s_bars (block), most);
    }
    if (self->bars == most)
        return;
    block = s_block (last);
    self->controls |= s_controls (block);
    split_bars (self, text, s_bars (block) >> (size_t) (text - last) * MARK,
                most);
}

//  Splits a text until so many bars were found, and looks no further than at their
//  block. If they were fewer, the last field is what is behind them.
static inline void
s_split (split_t *self, const char *text, size_t size, size_t most)
{
    const char *end = text + size;
    self->bars = 0;
    self->begin = text;
    self->controls = 0;
    if (size < STEP)
        split_few (self, text, size, most);
    else
        split_many (self, text, end, most);
    if (self->bars < most)
        self->field[self->bars] =
          (span_t){self->begin, (size_t) (end - self->begin)};
}

#endif
