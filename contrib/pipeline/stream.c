/*  stream - streams, series, and lists of them. The contract is in stream.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "stream.h"
#include "table.h"

size_t
stream_size (size_t key_size)
{
    return offsetof (stream_t, key) + key_size + 1;
}

size_t
series_size (size_t name_size, size_t source_size)
{
    return offsetof (series_t, text) + name_size + source_size;
}

int
stream_same (const void *item, const void *key)
{
    const stream_t *self = item;
    const zb_line_t *line = key;
    return self->level_size == line->level_size
           && self->key_size == line->level_size + line->id_size
           && memcmp (self->key, line->level, line->level_size) == 0
           && memcmp (self->key + line->level_size, line->id, line->id_size)
                == 0;
}

int
series_same (const void *item, const void *key)
{
    const series_t *self = item;
    const series_key_t *wanted = key;
    const zb_line_t *line = wanted->line;
    return self->stream == wanted->stream && self->type == line->type
           && self->name_size == line->name_size
           && self->source_size == line->source_size
           && memcmp (self->text, line->name, line->name_size) == 0
           && memcmp (self->text + line->name_size, line->source,
                      line->source_size)
                == 0;
}

uint64_t
series_hash (const stream_t *stream, const zb_line_t *line)
{
    uint64_t hash =
      table_hash (stream->hash + line->type, line->name, line->name_size);
    return table_hash (hash, line->source, line->source_size);
}

uint64_t
series_rehash (const series_t *self)
{
    zb_line_t line = {.type = (zb_type_t) self->type,
                      .name = self->text,
                      .name_size = self->name_size,
                      .source = self->text + self->name_size,
                      .source_size = self->source_size};
    return series_hash (self->stream, &line);
}

uint64_t
stream_lost (const stream_t *self)
{
    return self->gauge_next - self->gauge_floor - self->gauge_taken;
}

//  The SEQ of a series can be no higher here than where it comes from. So if
//  their sums agree, and their number, each of them does.
int
stream_complete (const stream_t *self)
{
    return self->ended && !self->gaps && self->series_count == self->end_count
           && self->seq_sum == self->end_sum;
}

//  --------------------------------------------------------------------------
//  A list of streams

void
streams_append (streams_t *self, stream_t *stream)
{
    stream->older = self->newest;
    stream->newer = NULL;
    if (self->newest)
        self->newest->newer = stream;
    else
        self->oldest = stream;
    self->newest = stream;
}

void
streams_remove (streams_t *self, stream_t *stream)
{
    if (self->unsaved == stream)
        self->unsaved = stream->newer;
    if (self->cursor == stream)
        self->cursor = stream->newer;
    if (stream->older)
        stream->older->newer = stream->newer;
    else
        self->oldest = stream->newer;
    if (stream->newer)
        stream->newer->older = stream->older;
    else
        self->newest = stream->older;
}
