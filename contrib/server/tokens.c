/*  tokens - who may use the server. The contract is in tokens.h.

    Sections: texts, files, the list, changes of the file, sessions, the link.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "tokens.h"

#include "log.h"
#include "sha256.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_SIZE = 4096,
    FILE_MAX = 1024 * 1024,
    LOOK_S = 1  //  the file is looked at again after so long, at most
};

typedef struct {
    char name[TOKEN_NAME_MAX + 1];
    role_t role;
    unsigned char hash[SHA256_BYTES];
    int64_t since_s;
} token_t;

//  --------------------------------------------------------------------------
//  Texts

static const char *const s_roles[] = {"nobody", "viewer", "recorder", "admin"};

enum { ROLES = sizeof s_roles / sizeof *s_roles };

static role_t
s_role (const char *text)
{
    for (int i = 1; i < ROLES; i++)
        if (strcmp (text, s_roles[i]) == 0)
            return (role_t) i;
    return ROLE_NOBODY;
}

//  A random text of 64 hexadecimal digits.
static void
s_random (char text[TOKEN_SIZE])
{
    unsigned char bytes[SHA256_BYTES];
    size_t got = 0;
    while (got < sizeof bytes) {
        ssize_t more = getrandom (bytes + got, sizeof bytes - got, 0);
        assert (more > 0 || errno == EINTR);
        got += more > 0 ? (size_t) more : 0;
    }
    sha256_hex (bytes, text);
    explicit_bzero (bytes, sizeof bytes);
}

//  A name that needs no care in files, cookies and logs.
static bool
s_name_ok (const char *name)
{
    size_t size = strspn (name, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return size && size <= TOKEN_NAME_MAX && !name[size];
}

//  Reads what sha256_hex has written. Returns 0, or -1.
static int
s_hash_read (const char *hex, unsigned char hash[SHA256_BYTES])
{
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        unsigned byte;
        if (sscanf (hex + 2 * i, "%2x", &byte) != 1)
            return -1;
        hash[i] = (unsigned char) byte;
    }
    return 0;
}

static const char *
s_wrong (const char *folder, const char *name)
{
    static char wrong[512];
    snprintf (wrong, sizeof wrong, "%.300s/%s: %s", folder, name,
              strerror (errno));
    return wrong;
}

//  --------------------------------------------------------------------------
//  Files

static int
s_open (const char *folder, const char *name, int flags)
{
    char path[PATH_SIZE];
    snprintf (path, sizeof path, "%s/%s", folder, name);
    return open (path, flags | O_CLOEXEC, 0600);
}

//  Reads a file. Returns NULL with errno if it cannot. Caller owns the return value.
static char *
s_read (const char *folder, const char *name, struct stat *status)
{
    int fd = s_open (folder, name, O_RDONLY);
    char *text = NULL;
    ssize_t size = -1;
    if (fd == -1)
        return NULL;
    if (fstat (fd, status) == 0 && status->st_size < FILE_MAX) {
        text = (char *) malloc ((size_t) status->st_size + 1);
        assert (text);
        size = read (fd, text, (size_t) status->st_size);
    }
    close (fd);
    if (size < 0) {
        free (text);
        return NULL;
    }
    text[size] = 0;
    return text;
}

//  A name that a power cut may take away again is none.
static int
s_sync (const char *folder)
{
    int fd = s_open (folder, ".", O_RDONLY | O_DIRECTORY), rc;
    if (fd == -1)
        return -1;
    rc = fsync (fd);
    close (fd);
    return rc;
}

//  Replaces a file by another one that only we can read, and that is on disk. Returns 0,
//  or -1 with errno.
static int
s_write (const char *folder, const char *name, const char *text)
{
    char path[PATH_SIZE], next[PATH_SIZE];
    size_t size = strlen (text);
    int fd, rc = -1;
    snprintf (path, sizeof path, "%s/%s", folder, name);
    snprintf (next, sizeof next, "%s/%s.new", folder, name);
    unlink (next);
    fd = open (next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd == -1)
        return -1;
    if (write (fd, text, size) == (ssize_t) size && fsync (fd) == 0)
        rc = 0;
    close (fd);
    return rc == 0 && rename (next, path) == 0 ? s_sync (folder) : -1;
}

//  --------------------------------------------------------------------------
//  The list

typedef struct {
    token_t *token;
    size_t count;
} list_t;

struct tokens {
    char *folder;
    pthread_mutex_t lock;  //  over all that follows
    list_t list;
    struct stat status;     //  of the file when it was read
    int64_t looked_s;       //  monotonic
    char key[TOKEN_SIZE];   //  of sessions
    char link[TOKEN_SIZE];  //  "": there is no link
    char *address;          //  of the link
};

//  What is no line of ours is left out.
static void
list_read (list_t *self, char *text)
{
    char *line, hex[SHA256_HEX], role[16];
    long long since;
    self->count = 0;
    while ((line = strsep (&text, "\n"))) {
        token_t token = {.since_s = 0};
        if (sscanf (line, "%64s %15s %64s %lld", token.name, role, hex, &since)
              != 4
            || strlen (hex) != SHA256_HEX - 1 || !s_name_ok (token.name)
            || s_hash_read (hex, token.hash) == -1)
            continue;
        token.role = s_role (role);
        token.since_s = since;
        self->token = (token_t *) realloc (
          self->token, (self->count + 1) * sizeof *self->token);
        assert (self->token);
        self->token[self->count++] = token;
    }
}

static int
list_write (const list_t *self, const char *folder)
{
    buffer_t text = {NULL, 0, 0};
    char hex[SHA256_HEX];
    int rc;
    for (size_t i = 0; i < self->count; i++) {
        const token_t *token = &self->token[i];
        sha256_hex (token->hash, hex);
        buffer_printf (&text, "%s %s %s %lld\n", token->name,
                       s_roles[token->role], hex, (long long) token->since_s);
    }
    buffer_add (&text, "", 1);
    rc = s_write (folder, "tokens", text.text);
    buffer_clear (&text);
    return rc;
}

//  The token with this hash, or NULL. Which one it is takes no part in how long that
//  takes.
static const token_t *
list_find (const list_t *self, const unsigned char hash[SHA256_BYTES])
{
    const token_t *found = NULL;
    for (size_t i = 0; i < self->count; i++)
        if (sha256_same (self->token[i].hash, hash, SHA256_BYTES))
            found = &self->token[i];
    return found;
}

static token_t *
list_named (const list_t *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->token[i].name, name) == 0)
            return &self->token[i];
    return NULL;
}

//  Called with the lock held. Reads the file if it has changed.
static void
tokens_look (tokens_t *self, bool now)
{
    struct timespec clock;
    struct stat status;
    char path[PATH_SIZE], *text;
    clock_gettime (CLOCK_MONOTONIC, &clock);
    if (!now && clock.tv_sec - self->looked_s < LOOK_S)
        return;
    self->looked_s = clock.tv_sec;
    snprintf (path, sizeof path, "%s/tokens", self->folder);
    if (stat (path, &status) == 0 && status.st_ino == self->status.st_ino
        && status.st_mtim.tv_sec == self->status.st_mtim.tv_sec
        && status.st_mtim.tv_nsec == self->status.st_mtim.tv_nsec)
        return;
    text = s_read (self->folder, "tokens", &self->status);
    if (text)
        list_read (&self->list, text);
    free (text);
}

role_t
tokens_role (tokens_t *self, const char *token)
{
    unsigned char hash[SHA256_BYTES];
    const token_t *found;
    role_t role;
    sha256 (token, strlen (token), hash);
    pthread_mutex_lock (&self->lock);
    tokens_look (self, false);
    found = list_find (&self->list, hash);
    role = found ? found->role : ROLE_NOBODY;
    pthread_mutex_unlock (&self->lock);
    return role;
}

//  --------------------------------------------------------------------------
//  Changes of the file. The folder is locked meanwhile: two of them may run at once.

typedef struct {
    const char *folder;
    int lock;
    list_t list;
} change_t;

static const char *
change_begin (change_t *self, const char *folder)
{
    struct stat status;
    char *text;
    *self = (change_t){.folder = folder,
                       .lock = s_open (folder, ".", O_RDONLY | O_DIRECTORY)};
    if (self->lock == -1 || flock (self->lock, LOCK_EX) == -1)
        return s_wrong (folder, ".");
    text = s_read (folder, "tokens", &status);
    if (!text && errno != ENOENT)
        return s_wrong (folder, "tokens");
    if (text)
        list_read (&self->list, text);
    free (text);
    return NULL;
}

//  Writes the list if nothing is wrong so far.
static const char *
change_end (change_t *self, const char *wrong)
{
    if (!wrong && list_write (&self->list, self->folder) == -1)
        wrong = s_wrong (self->folder, "tokens");
    free (self->list.token);
    if (self->lock != -1)
        close (self->lock);
    return wrong;
}

static void
change_add (change_t *self, const char *name, role_t role, const char *token)
{
    list_t *list = &self->list;
    token_t made = {.role = role, .since_s = time (NULL)};
    snprintf (made.name, sizeof made.name, "%s", name);
    sha256 (token, strlen (token), made.hash);
    list->token =
      (token_t *) realloc (list->token, (list->count + 1) * sizeof made);
    assert (list->token);
    list->token[list->count++] = made;
}

const char *
tokens_new (const char *folder, const char *name, const char *role,
            char token[TOKEN_SIZE])
{
    change_t change;
    const char *wrong = change_begin (&change, folder);
    if (!s_name_ok (name) || strcmp (name, "link") == 0)
        wrong = "--token-new: expected letters, digits, '_' or '-'";
    else if (s_role (role) == ROLE_NOBODY)
        wrong = "--role: expected admin, recorder or viewer";
    else if (!wrong && list_named (&change.list, name))
        wrong = "--token-new: there is one of that name";
    if (!wrong) {
        s_random (token);
        change_add (&change, name, s_role (role), token);
    }
    return change_end (&change, wrong);
}

const char *
tokens_end (const char *folder, const char *name)
{
    change_t change;
    const char *wrong = change_begin (&change, folder);
    token_t *token = list_named (&change.list, name);
    if (!wrong && !token)
        wrong = "--token-end: there is none of that name";
    if (!wrong) {
        size_t behind =
          (size_t) (change.list.token + change.list.count - token);
        memmove (token, token + 1, (behind - 1) * sizeof *token);
        change.list.count--;
    }
    return change_end (&change, wrong);
}

const char *
tokens_list (const char *folder, token_fn *each, void *argument)
{
    list_t list = {NULL, 0};
    struct stat status;
    char *text = s_read (folder, "tokens", &status);
    if (!text && errno != ENOENT)
        return s_wrong (folder, "tokens");
    if (text)
        list_read (&list, text);
    for (size_t i = 0; i < list.count; i++)
        each (argument, list.token[i].name, s_roles[list.token[i].role],
              list.token[i].since_s);
    free (list.token);
    free (text);
    return NULL;
}

//  --------------------------------------------------------------------------
//  Opening

//  The first token, for who has the folder. It is in its file before its hash is in the
//  list: a start that is killed in between leaves no list, and the next one makes
//  another token. The other way round nobody would know the token.
static const char *
s_first (const char *folder)
{
    char token[TOKEN_SIZE], line[TOKEN_SIZE + 1];
    change_t change;
    const char *wrong = change_begin (&change, folder);
    s_random (token);
    snprintf (line, sizeof line, "%s\n", token);
    if (!wrong && s_write (folder, "admin-token", line) == -1)
        wrong = s_wrong (folder, "admin-token");
    change_add (&change, "admin", ROLE_ADMIN, token);
    wrong = change_end (&change, wrong);
    if (!wrong)
        zb_log (LOG_NOTICE, "token",
                "name=admin role=admin file=%s/admin-token", folder);
    explicit_bzero (token, sizeof token);
    explicit_bzero (line, sizeof line);
    return wrong;
}

//  The key of sessions, made once.
static const char *
s_session_key (const char *folder, char key[TOKEN_SIZE])
{
    struct stat status;
    char *text = s_read (folder, "session-key", &status);
    if (text && strlen (text) == TOKEN_SIZE - 1)
        memcpy (key, text, TOKEN_SIZE);
    else {
        s_random (key);
        if (s_write (folder, "session-key", key) == -1) {
            free (text);
            return s_wrong (folder, "session-key");
        }
    }
    free (text);
    return NULL;
}

const char *
tokens_open (tokens_t **self_p, const char *folder)
{
    tokens_t *self = (tokens_t *) calloc (1, sizeof *self);
    const char *wrong = NULL;
    assert (self);
    self->folder = strdup (folder);
    assert (self->folder);
    pthread_mutex_init (&self->lock, NULL);
    tokens_look (self, true);
    if (!self->list.count)
        wrong = s_first (folder);
    if (!wrong)
        wrong = s_session_key (folder, self->key);
    tokens_look (self, true);
    *self_p = self;
    if (wrong)
        tokens_close (self_p);
    return wrong;
}

void
tokens_close (tokens_t **self_p)
{
    tokens_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy (&self->lock);
    free (self->list.token);
    free (self->address);
    free (self->folder);
    explicit_bzero (self, sizeof *self);
    free (self);
    *self_p = NULL;
}

void
tokens_id (const tokens_t *self, char id[9])
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256 (self->key, TOKEN_SIZE - 1, digest);
    sha256_hex (digest, hex);
    snprintf (id, 9, "%.8s", hex);
}

//  --------------------------------------------------------------------------
//  Sessions: NAME.EXPIRES.MAC, where MAC is of NAME.EXPIRES and the token's hash

static const char s_link[] = "link";

//  The token with which a session of this name goes: who has come by the link goes with
//  the first admin's. Called with the lock held.
static const token_t *
tokens_named (const tokens_t *self, const char *name)
{
    if (strcmp (name, s_link) != 0)
        return list_named (&self->list, name);
    for (size_t i = 0; i < self->list.count; i++)
        if (self->list.token[i].role == ROLE_ADMIN)
            return &self->list.token[i];
    return NULL;
}

//  Called with the lock held.
static void
s_sign (const tokens_t *self, const char *name, long long expires_s,
        const token_t *token, char session[SESSION_SIZE])
{
    char hash[SHA256_HEX], mac[SHA256_HEX], text[SESSION_SIZE];
    unsigned char digest[SHA256_BYTES];
    sha256_hex (token->hash, hash);
    snprintf (text, sizeof text, "%s.%lld.%s", name, expires_s, hash);
    sha256_hmac (self->key, TOKEN_SIZE - 1, text, strlen (text), digest);
    sha256_hex (digest, mac);
    snprintf (session, SESSION_SIZE, "%s.%lld.%s", name, expires_s, mac);
}

void
tokens_session (tokens_t *self, const char *token, char session[SESSION_SIZE])
{
    unsigned char hash[SHA256_BYTES];
    const token_t *found;
    pthread_mutex_lock (&self->lock);
    tokens_look (self, false);
    if (token) {
        sha256 (token, strlen (token), hash);
        found = list_find (&self->list, hash);
    }
    else
        found = tokens_named (self, s_link);
    *session = 0;
    if (found)
        s_sign (self, token ? found->name : s_link,
                (long long) time (NULL) + SESSION_S, found, session);
    pthread_mutex_unlock (&self->lock);
}

role_t
tokens_session_role (tokens_t *self, const char *session)
{
    char name[TOKEN_NAME_MAX + 1] = "", expected[SESSION_SIZE];
    long long expires_s = 0;
    const token_t *token;
    role_t role = ROLE_NOBODY;
    if (sscanf (session, "%64[^.].%lld.", name, &expires_s) != 2
        || expires_s < (long long) time (NULL))
        return ROLE_NOBODY;
    pthread_mutex_lock (&self->lock);
    tokens_look (self, false);
    token = tokens_named (self, name);
    if (token)
        s_sign (self, name, expires_s, token, expected);
    if (token && strlen (session) == strlen (expected)
        && sha256_same (session, expected, strlen (expected)))
        role = token->role;
    pthread_mutex_unlock (&self->lock);
    return role;
}

//  --------------------------------------------------------------------------
//  The link

//  Called with the lock held.
static void
tokens_link_next (tokens_t *self)
{
    char text[512];
    s_random (self->link);
    snprintf (text, sizeof text, "%s/?key=%s\n", self->address, self->link);
    if (s_write (self->folder, "link", text) == -1)
        zb_log (LOG_WARNING, "link", "file=%s/link reason=\"%s\"", self->folder,
                strerror (errno));
    explicit_bzero (text, sizeof text);
}

void
tokens_link_begin (tokens_t *self, const char *address)
{
    pthread_mutex_lock (&self->lock);
    self->address = strdup (address);
    assert (self->address);
    tokens_link_next (self);
    pthread_mutex_unlock (&self->lock);
}

bool
tokens_link_used (tokens_t *self, const char *key)
{
    bool same;
    pthread_mutex_lock (&self->lock);
    same = *self->link && strlen (key) == TOKEN_SIZE - 1
           && sha256_same (key, self->link, TOKEN_SIZE - 1);
    if (same)
        tokens_link_next (self);
    pthread_mutex_unlock (&self->lock);
    return same;
}
