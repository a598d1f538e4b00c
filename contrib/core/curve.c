/*  curve - who may connect. The contract is in curve.h.

    ZeroMQ asks the broker itself of each handshake (ZAP, rfc.zeromq.org/spec/27)
    since czmq's zauth knows no roles: it does not look at the domain, by which
    the two ports differ.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "curve.h"

#include <netinet/in.h>
#include <sys/stat.h>

static const char s_no_curve[] = "libzmq was built without CURVE";

//  Which file or folder it is, why, and what to do.
static const char *
s_wrong (const char *path, const char *reason, const char *advice)
{
    static char text[PATH_MAX + 256];
    snprintf (text, sizeof text, "%s: %s%s%s", path, reason,
              *advice ? "; " : "", advice);
    return text;
}

//  Reads a certificate that must have both keys, or says why that cannot be.
static const char *
s_cert_read (const char *path, char public_key[CERTIFICATE_KEY],
             char secret_key[CERTIFICATE_KEY], bool both)
{
    if (certificate_read (path, public_key, secret_key) == -1)
        return errno == EINVAL ? s_wrong (path, "no CURVE certificate",
                                          "`zibrato keygen` makes one")
                               : s_wrong (path, strerror (errno), "");
    return both && !*secret_key
             ? s_wrong (path, "no secret key",
                        "it is in the file of that name with _secret behind "
                        "it, which belongs beside this one")
             : NULL;
}

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

static const char *
s_advice (int error)
{
    return error == EEXIST ? "give another NAME: nothing is overwritten" : "";
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
        return s_wrong (dir, strerror (ENAMETOOLONG), "");
    snprintf (public_path, PATH_MAX, "%.*s",
              (int) (strlen (secret_path) - strlen ("_secret")), secret_path);
    if (mkdir (dir, 0700) == -1 && errno != EEXIST)
        return s_wrong (dir, strerror (errno),
                        errno == ENOENT ? "make the folder above it first"
                                        : "");
    if (s_file_new (secret_path, 0600) == -1)
        return s_wrong (secret_path, strerror (errno), s_advice (errno));
    if (s_file_new (public_path, 0644) == -1)
        wrong = s_wrong (public_path, strerror (errno), s_advice (errno));
    else if (s_cert_save (public_path, secret_path, public_key) == -1) {
        wrong = s_wrong (public_path, strerror (errno), "");
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
    else
        wrong = s_cert_read (server, key, secret_key, false);
    if (!wrong)
        wrong = s_cert_read (cert, public_key, secret_key, true);
    if (!wrong) {
        zsock_set_curve_serverkey (socket, key);
        zsock_set_curve_publickey (socket, public_key);
        zsock_set_curve_secretkey (socket, secret_key);
    }
    explicit_bzero (secret_key, sizeof secret_key);
    return wrong;
}

//  --------------------------------------------------------------------------
//  The broker's side: who may come in

static const struct {
    const char *domain;  //  of ZAP
    int role;
} s_ends[] = {{"zibrato-programs", KEYS_PROGRAM},
              {"zibrato-workers", KEYS_WORKER}};

//  The role that somebody wants who comes to a port, 0 if it is none of ours.
static int
s_domain_role (const char *domain)
{
    size_t i;
    for (i = 0; i < 2; i++)
        if (domain && streq (domain, s_ends[i].domain))
            return s_ends[i].role;
    return 0;
}

//  A request is version, number, domain, address, identity, mechanism, key.
//  Whoever gets in is known by its key from then on.
static void
curve_answer_one (curve_t *self, zmsg_t *request)
{
    char key[CERTIFICATE_KEY] = "", *version = zmsg_popstr (request);
    zframe_t *number = zmsg_pop (request);
    char *domain = zmsg_popstr (request), *address = zmsg_popstr (request);
    char *identity = zmsg_popstr (request), *mechanism = zmsg_popstr (request);
    zframe_t *bytes = zmsg_pop (request);
    int role = s_domain_role (domain), roles, listed;
    char status[8];
    if (mechanism && streq (mechanism, "CURVE") && bytes
        && zframe_size (bytes) == 32)
        zmq_z85_encode (key, zframe_data (bytes), 32);
    roles = keys_roles (self->listed, key);
    listed = (roles & role) != 0;
    snprintf (status, sizeof status, "%d",
              listed  ? 200
              : roles ? CURVE_OTHER_PORT
                      : CURVE_NOT_LISTED);
    zsock_send (self->zap, "sfssss", "1.0", number, status,
                listed ? "OK" : "not listed", listed ? key : "", "");
    zstr_free (&version);
    zstr_free (&domain);
    zstr_free (&address);
    zstr_free (&identity);
    zstr_free (&mechanism);
    zframe_destroy (&number);
    zframe_destroy (&bytes);
}

void
curve_answer (curve_t *self)
{
    zmsg_t *request;
    while ((request = zmsg_recv (self->zap))) {
        curve_answer_one (self, request);
        zmsg_destroy (&request);
    }
}

static void
s_serve (zsock_t *socket, const char *domain, const char *public_key,
         const char *secret_key)
{
    zsock_set_zap_domain (socket, domain);
    //  without it whoever has any key gets in while nobody answers
    zsock_set_zap_enforce_domain (socket, 1);
    zsock_set_curve_server (socket, 1);
    zsock_set_curve_publickey (socket, public_key);
    zsock_set_curve_secretkey (socket, secret_key);
}

const char *
curve_listen (curve_t **self_p, const char *cert, const char *dir,
              zsock_t *programs, zsock_t *workers)
{
    char public_key[CERTIFICATE_KEY], secret_key[CERTIFICATE_KEY];
    const char *wrong = NULL;
    curve_t *self;
    *self_p = NULL;
    if (!zsys_has_curve ())
        return s_no_curve;
    wrong = s_cert_read (cert, public_key, secret_key, true);
    if (!wrong) {
        s_serve (programs, s_ends[0].domain, public_key, secret_key);
        s_serve (workers, s_ends[1].domain, public_key, secret_key);
        self = *self_p = (curve_t *) zmalloc (sizeof *self);
        self->dir = dir;
        self->listed = zhashx_new ();
        self->zap = zsock_new (ZMQ_REP);
        zsock_set_rcvtimeo (self->zap, 0);
        wrong = zsock_bind (self->zap, "inproc://zeromq.zap.01") == -1
                  ? strerror (errno)
                  : curve_reload (self);
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
        zsock_destroy (&self->zap);
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
    zb_log (LOG_WARNING, "cut", "key=\"%s\" reason=\"not listed%s any more\"",
            self->seen[fd].key,
            keys_roles (self->listed, self->seen[fd].key) ? " for this port"
                                                          : "");
    *self->seen[fd].key = 0;
    if (s_port (fd) > 0)
        shutdown (fd, SHUT_RDWR);
}

static int
curve_lists (curve_t *self, size_t fd)
{
    return (keys_roles (self->listed, self->seen[fd].key) & self->seen[fd].role)
           != 0;
}

const char *
curve_reload (curve_t *self)
{
    zhashx_t *listed = keys_read (self->dir);
    size_t fd;
    if (!listed)
        return s_wrong (self->dir, strerror (errno), "");
    zhashx_destroy (&self->listed);
    self->listed = listed;
    for (fd = 0; fd < self->seen_size; fd++)
        if (*self->seen[fd].key && !curve_lists (self, fd))
            curve_cut (self, (int) fd);
    return NULL;
}

int
curve_admits (curve_t *self, zmq_msg_t *message, int role)
{
    //  what we have said of the connection; inproc has nothing
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
    if (!streq (self->seen[fd].key, key))
        snprintf (self->seen[fd].key, sizeof self->seen[fd].key, "%s", key);
    self->seen[fd].role = role;
    if (curve_lists (self, (size_t) fd))
        return 1;
    curve_cut (self, fd);
    return 0;
}
