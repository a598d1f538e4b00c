/*  fuzz_spool.c - whatever is in a spool's folder, a worker starts with it, a
    second start finds the same, each row of its requests ends somewhere, and
    after a flush nothing of it comes again, but for refused rows that somebody
    sends again

    The input is files, separated by FS (0x1c): a line with the name, then
    records, separated by RS (0x1e): a line with number and note, then the text.
    What they need to be taken seriously, a head and checksums, they are given
    here; a record that begins with '!' is written as it is, without.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=4096

#include "fuzz.h"

#include "../../contrib/pipeline/sender.c"

enum { FILES_MAX = 8, FS = 0x1c, RS = 0x1e };

static char s_dir[PATH_MAX];
static int s_fd;  //  of that folder

//  --------------------------------------------------------------------------
//  The folder

//  Made once, where temporary files are; test/fuzz/run removes it.
static void
s_make (void)
{
    const char *place = getenv ("TMPDIR");
    if (s_fd)
        return;
    snprintf (s_dir, sizeof s_dir, "%s/zibrato-fuzz-XXXXXX",
              place ? place : "/tmp");
    CHECK (mkdtemp (s_dir));
    s_fd = open (s_dir, O_RDONLY | O_DIRECTORY);
    CHECK (s_fd > 0);
}

//  Leaves nothing behind, but for the folder itself.
static void
s_empty (int fd)
{
    DIR *dir = fdopendir (fd);
    const struct dirent *entry;
    CHECK (dir);
    while ((entry = readdir (dir)))
        if (unlinkat (fd, entry->d_name, 0) == -1 && *entry->d_name != '.') {
            s_empty (openat (fd, entry->d_name, O_RDONLY | O_DIRECTORY));
            CHECK (unlinkat (fd, entry->d_name, AT_REMOVEDIR) == 0);
        }
    closedir (dir);
}

//  Cuts the next piece off. Returns 0 when there is none.
static int
s_next (span_t *rest, char separator, span_t *piece)
{
    const char *end, *found;
    if (!rest->text)
        return 0;
    end = rest->text + rest->size;
    found = memchr (rest->text, separator, rest->size);
    piece->text = rest->text;
    piece->size = (size_t) ((found ? found : end) - rest->text);
    rest->text = found ? found + 1 : NULL;
    rest->size = found ? (size_t) (end - found - 1) : 0;
    return 1;
}

static void
s_write_record (FILE *file, span_t record)
{
    span_t head = {"", 0}, text = {"", 0};
    s_next (&record, '\n', &head);
    if (record.text)
        text = record;
    fprintf (file, "= %zu %016" PRIx64 " ", text.size,
             table_digest (0, text.text, text.size));
    fwrite (head.text, 1, head.size, file);
    fputc ('\n', file);
    fwrite (text.text, 1, text.size, file);
    fputc ('\n', file);
}

//  Within the folder, or one of those in it. Numbers like those of a folder
//  that has been in use for some thousand years take long.
static int
s_is_name (const char *name)
{
    const char *slash = strrchr (name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dash = strchr (base, '-');
    if (slash && strncmp (name, "rejected/", 9) != 0
        && strncmp (name, "replay/", 7) != 0)
        return 0;
    return strchr (name, '/') == slash && dash && strlen (base) < NAME_MAX
           && strtoll (dash + 1, NULL, 10) < 10000;
}

static void
s_write_file (span_t text)
{
    span_t name = {"", 0}, record;
    char path[NAME_MAX + 1];
    FILE *file;
    int fd;
    s_next (&text, '\n', &name);
    snprintf (path, sizeof path, "%.*s", (int) name.size, name.text);
    if (!s_is_name (path))
        return;
    fd = openat (s_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    file = fd == -1 ? NULL : fdopen (fd, "w");
    if (!file)
        return;
    if (text.size && *text.text != '!') {
        const char *kind = strrchr (path, '/') ? strrchr (path, '/') + 1 : path;
        fprintf (file, "zibrato %.*s 1 fuzz\n", (int) strcspn (kind, "-"),
                 kind);
    }
    while (s_next (&text, RS, &record))
        if (record.size && *record.text == '!')
            fwrite (record.text + 1, 1, record.size - 1, file);
        else
            s_write_record (file, record);
    fclose (file);
}

static void
s_write_folder (span_t text)
{
    span_t file;
    int files = 0;
    s_make ();
    mkdirat (s_fd, "rejected", 0700);
    mkdirat (s_fd, "replay", 0700);
    while (files++ < FILES_MAX && s_next (&text, FS, &file))
        s_write_file (file);
}

//  --------------------------------------------------------------------------
//  Workers that come and go

//  A service that refuses some rows.
static zb_outcome_t
s_deliver_rows (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    size_t i, bytes = 0;
    for (i = 0; i < count; i++) {
        char *text = zb_row_json (&rows[i], 1);
        bytes += strlen (text);
        free (text);
    }
    snprintf (reply->reason, sizeof reply->reason, "%zu\nbytes", bytes);
    return bytes % 3 ? ZB_DELIVERED : ZB_REFUSED;
}

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI,
                                       .name = "fuzz",
                                       .wants = ZB_WANTS_TOTALS,
                                       .batch = 3,
                                       .deliver = s_deliver_rows};

static worker_t *
s_start (void)
{
    worker_t *self = worker_new (&s_backend);
    self->spool = self->queue->spool = spool_new (s_dir, "fuzz", 1 << 30);
    CHECK (self->spool);
    self->flush->spool = self->spool;
    spool_load (self->spool, &s_worker_reader, self);
    return self;
}

//  Every row that waits is delivered, refused, or was lost with its file.
static void
s_deliver (worker_t *self)
{
    sender_t sender = {.backend = &s_backend, .queue = self->queue};
    const queue_t *queue = self->queue;
    request_t *request;
    uint64_t rows = queue->delivered_rows + queue->rejected_rows;
    CHECK (queue->dropped_rows == 0);
    for (request = queue->head; request; request = request->next)
        rows += request->rows;
    while (queue->head || queue->aside) {
        request = queue_take (self->queue);
        sender_take (&sender, &request);
        CHECK (!request);
    }
    CHECK (queue->delivered_rows + queue->rejected_rows + queue->dropped_rows
           == rows);
}

static void
s_check_same (const worker_t *a, const worker_t *b)
{
    CHECK (a->ingest.received == b->ingest.received);
    CHECK (a->ingest.malformed_lines == b->ingest.malformed_lines);
    CHECK (a->loaded_rows == b->loaded_rows);
    CHECK (a->bad_states == b->bad_states);
    CHECK (a->ingest.ledger->duplicates == b->ingest.ledger->duplicates);
    CHECK (a->ingest.ledger->series.count == b->ingest.ledger->series.count);
    CHECK (ledger_lost (a->ingest.ledger) == ledger_lost (b->ingest.ledger));
    CHECK (a->flush->totals->table.count == b->flush->totals->table.count);
}

static size_t s_replayed;

static void
s_replay (const char *name, const char *reason)
{
    CHECK (strncmp (name, "request-", 8) == 0 && reason);
    s_replayed++;
}

static void
fuzz (const char *text, size_t size)
{
    worker_t *first, *second, *third;
    size_t known;
    s_write_folder ((span_t){text, size});
    first = s_start ();
    spool_destroy (&first->spool);  //  a crash gives the lock back, too
    second = s_start ();
    s_check_same (first, second);
    worker_destroy (&first);
    s_deliver (second);
    worker_flush_all (second);
    s_deliver (second);
    known = second->ingest.ledger->series.count;
    worker_destroy (&second);
    s_replayed = 0;
    CHECK (spool_replay (s_dir, s_replay) == (int) s_replayed);
    third = s_start ();
    CHECK (third->ingest.received == 0);
    CHECK (third->loaded_rows == 0 || s_replayed);
    CHECK (third->ingest.ledger->series.count == known);
    s_deliver (third);
    worker_destroy (&third);
    s_empty (openat (s_fd, ".", O_RDONLY | O_DIRECTORY));
}
