/*  curve - who may connect. The contract is in curve.h.

    czmq's zauth asks a zcertstore, which by itself would read the folder at
    every handshake, end the program at the second file with the same key, and
    overflow a buffer if a certificate has much metadata (zauth.c, zcertstore.c
    of czmq 4.2.1). So it gets a store in memory, with nothing but keys in it,
    and a new one at each reload.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "curve.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/stat.h>

static const char s_no_curve[] = "libzmq was built without CURVE";
static const char s_no_cert[] = "no CURVE certificate";
static const char s_no_secret[] = "no secret key in it";

//  --------------------------------------------------------------------------
//  keygen

//  Returns -1, errno set, if there is such a file. The mode is its own from the
//  first moment.
static int
s_file_new (const char *path, mode_t mode)
{
    int fd = open (path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    return fd == -1 ? -1 : close (fd);
}

//  Writes into files that are there, and reads them back.
static int
s_cert_save (const char *public_path, const char *secret_path, char *public_key)
{
    char public_read[CERTIFICATE_KEY], secret_read[CERTIFICATE_KEY];
    zcert_t *cert = zcert_new ();
    int rc = -1;
    errno = EIO;
    if (cert && zcert_save_public (cert, public_path) == 0
        && zcert_save_secret (cert, secret_path) == 0
        && certificate_read (secret_path, public_read, secret_read) == 0
        && streq (public_read, zcert_public_txt (cert))
        && streq (secret_read, zcert_secret_txt (cert))) {
        strcpy (public_key, public_read);
        rc = 0;
    }
    zcert_destroy (&cert);
    return rc;
}

static int
s_name_ok (const char *name)
{
    size_t size = strlen (name);
    return size > 0 && size < 200 && !strchr (name, '/') && *name != '.'
           && (size < 7 || !streq (name + size - 7, "_secret"));
}

const char *
curve_keygen (const char *dir, const char *name,
              char public_key[CERTIFICATE_KEY])
{
    char public_path[PATH_MAX], secret_path[PATH_MAX];
    const char *wrong = NULL;
    if (!zsys_has_curve ())
        return s_no_curve;
    if (!s_name_ok (name))
        return "not a name: no '/', no '.' before it, no _secret behind it";
    if (snprintf (secret_path, PATH_MAX, "%s/%s_secret", dir, name) >= PATH_MAX)
        return strerror (ENAMETOOLONG);
    snprintf (public_path, PATH_MAX, "%.*s",
              (int) (strlen (secret_path) - strlen ("_secret")), secret_path);
    if (mkdir (dir, 0700) == -1 && errno != EEXIST)
        return strerror (errno);
    if (s_file_new (secret_path, 0600) == -1)
        return strerror (errno);
    if (s_file_new (public_path, 0644) == -1)
        wrong = strerror (errno);
    else if (s_cert_save (public_path, secret_path, public_key) == -1) {
        wrong = strerror (errno);
        unlink (public_path);
    }
    if (wrong)
        unlink (secret_path);
    return wrong;
}

//  --------------------------------------------------------------------------
//  A worker's side

const char *
curve_connect (zsock_t *socket, const char *server, const char *cert)
{
    char key[CERTIFICATE_KEY], public_key[CERTIFICATE_KEY],
      secret_key[CERTIFICATE_KEY];
    uint8_t bytes[32];
    const char *wrong = NULL;
    if (!zsys_has_curve ())
        return s_no_curve;
    if (strlen (server) == CERTIFICATE_KEY - 1
        && zmq_z85_decode (bytes, server))
        strcpy (key, server);
    else if (certificate_read (server, key, secret_key) == -1)
        return errno == EINVAL ? s_no_cert : strerror (errno);
    if (certificate_read (cert, public_key, secret_key) == -1)
        wrong = errno == EINVAL ? s_no_cert : strerror (errno);
    else if (!*secret_key)
        wrong = s_no_secret;
    else {
        zsock_set_curve_serverkey (socket, key);
        zsock_set_curve_publickey (socket, public_key);
        zsock_set_curve_secretkey (socket, secret_key);
    }
    explicit_bzero (secret_key, sizeof secret_key);
    return wrong;
}

//  --------------------------------------------------------------------------
//  The broker's side: the list

//  A file of the folder. What is no certificate is said and left out; secret
//  halves need not be there, and add nothing.
static void
s_list_file (zhashx_t *listed, const char *dir, const char *name)
{
    char path[PATH_MAX], public_key[CERTIFICATE_KEY],
      secret_key[CERTIFICATE_KEY];
    size_t size = strlen (name);
    struct stat status;
    if (*name == '.' || (size >= 7 && streq (name + size - 7, "_secret"))
        || snprintf (path, sizeof path, "%s/%s", dir, name)
             >= (int) sizeof path)
        return;
    if (stat (path, &status) == 0 && !S_ISREG (status.st_mode))
        return;
    if (certificate_read (path, public_key, secret_key) == 0)
        zhashx_insert (listed, public_key, listed);
    else
        zb_log (LOG_WARNING, "unreadable", "file=\"%s\" reason=\"%s\"", path,
                errno == EINVAL ? s_no_cert : strerror (errno));
    explicit_bzero (secret_key, sizeof secret_key);
}

//  Caller owns the return value. NULL, errno set, if there is no such folder.
static zhashx_t *
s_list_read (const char *dir)
{
    DIR *folder = opendir (dir);
    zhashx_t *listed;
    const struct dirent *entry;
    if (!folder)
        return NULL;
    listed = zhashx_new ();
    while ((entry = readdir (folder)))
        s_list_file (listed, dir, entry->d_name);
    closedir (folder);
    return listed;
}

//  Replaces zauth by one that knows the list. A handshake that comes just in
//  between fails, and is made again: the sockets enforce their domain.
static void
curve_auth (curve_t *self)
{
    static const byte none[32];
    zcertstore_t *store = zcertstore_new (NULL);
    byte key[32];
    void *item;
    for (item = zhashx_first (self->listed); item;
         item = zhashx_next (self->listed)) {
        zcert_t *cert;
        zmq_z85_decode (key, (const char *) zhashx_cursor (self->listed));
        cert = zcert_new_from (key, none);
        zcertstore_insert (store, &cert);
    }
    zactor_destroy (&self->auth);
    self->auth = zactor_new (zauth, store);
}

static void
s_serve (zsock_t *socket, const char *public_key, const char *secret_key)
{
    zsock_set_zap_domain (socket, "zibrato");
    //  without it whoever has any key gets in while there is no zauth
    zsock_set_zap_enforce_domain (socket, 1);
    zsock_set_curve_server (socket, 1);
    zsock_set_curve_publickey (socket, public_key);
    zsock_set_curve_secretkey (socket, secret_key);
}

const char *
curve_listen (curve_t **self_p, const char *cert, const char *dir, zsock_t *one,
              zsock_t *other)
{
    char public_key[CERTIFICATE_KEY], secret_key[CERTIFICATE_KEY];
    const char *wrong = NULL;
    curve_t *self;
    *self_p = NULL;
    if (!zsys_has_curve ())
        return s_no_curve;
    if (certificate_read (cert, public_key, secret_key) == -1)
        wrong = errno == EINVAL ? s_no_cert : strerror (errno);
    else if (!*secret_key)
        wrong = s_no_secret;
    if (!wrong) {
        s_serve (one, public_key, secret_key);
        s_serve (other, public_key, secret_key);
        self = *self_p = (curve_t *) zmalloc (sizeof *self);
        self->dir = dir;
        self->listed = zhashx_new ();
        curve_auth (self);
        wrong = curve_reload (self);
        if (wrong)
            curve_destroy (self_p);
    }
    explicit_bzero (secret_key, sizeof secret_key);
    return wrong;
}

void
curve_destroy (curve_t **self_p)
{
    curve_t *self = *self_p;
    if (self) {
        zactor_destroy (&self->auth);
        zhashx_destroy (&self->listed);
        free (self->seen);
        free (self);
        *self_p = NULL;
    }
}

//  --------------------------------------------------------------------------
//  The broker's side: who is no more in the list

static int
s_port (int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname (fd, (struct sockaddr *) &address, &size) == -1)
        return -1;
    //  at the same place in both families
    return address.ss_family == AF_INET || address.ss_family == AF_INET6
             ? ntohs (((struct sockaddr_in *) &address)->sin_port)
             : -1;
}

//  ZeroMQ has no way to end one connection of a bound socket; the connection
//  itself has. Its descriptor may be somebody else's by now, who then connects
//  again; but it must be a connection.
static void
curve_cut (curve_t *self, int fd)
{
    zb_log (LOG_WARNING, "cut", "key=\"%s\" reason=\"not listed any more\"",
            self->seen[fd]);
    *self->seen[fd] = 0;
    if (s_port (fd) > 0)
        shutdown (fd, SHUT_RDWR);
}

const char *
curve_reload (curve_t *self)
{
    zhashx_t *before = self->listed, *listed = s_list_read (self->dir);
    size_t fd;
    void *item;
    int same = listed && zhashx_size (listed) == zhashx_size (before);
    if (!listed)
        return strerror (errno);
    for (item = zhashx_first (listed); item && same;
         item = zhashx_next (listed))
        same = zhashx_lookup (before, zhashx_cursor (listed)) != NULL;
    self->listed = listed;
    zhashx_destroy (&before);
    if (!same)
        curve_auth (self);
    for (fd = 0; fd < self->seen_size; fd++)
        if (*self->seen[fd] && !zhashx_lookup (listed, self->seen[fd]))
            curve_cut (self, (int) fd);
    return NULL;
}

int
curve_admits (curve_t *self, zmq_msg_t *message)
{
    //  what zauth has said of the connection; inproc has nothing
    const char *key = zmq_msg_gets (message, "User-Id");
    int fd = key ? zmq_msg_get (message, ZMQ_SRCFD) : -1;
    if (fd < 0)
        return 1;
    if ((size_t) fd >= self->seen_size) {
        size_t size = (size_t) fd + 64;
        self->seen = realloc (self->seen, size * sizeof *self->seen);
        assert (self->seen);
        memset (self->seen + self->seen_size, 0,
                (size - self->seen_size) * sizeof *self->seen);
        self->seen_size = size;
    }
    if (!streq (self->seen[fd], key))
        snprintf (self->seen[fd], sizeof self->seen[fd], "%s", key);
    if (zhashx_lookup (self->listed, key))
        return 1;
    curve_cut (self, fd);
    return 0;
}
