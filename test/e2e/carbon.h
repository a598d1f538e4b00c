/*  carbon.h - Graphite's carbon, and carbon-c-relay, as servers.h has others

    Classes, bottom-up: the kinds, what is on carbon's disk.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef CARBON_H
#define CARBON_H

#include "servers.h"

#include <endian.h>

//  --------------------------------------------------------------------------
//  The kinds

//  Its retentions are those of the variable, so that a test can have others.
static const char *s_carbon_retentions = "1s:1h";
static const char *s_carbon_aggregation = "";

static const char *const *
s_carbon_configure (const server_t *self)
{
    const char *config = server_path (self, "carbon.conf");
    file_write (
      config,
      text_new ("[cache]\nSTORAGE_DIR = %s\nLOCAL_DATA_DIR = %s\n"
                "CONF_DIR = %s\nLOG_DIR = %s\nPID_DIR = %s\n"
                "LINE_RECEIVER_INTERFACE = 127.0.0.1\n"
                "LINE_RECEIVER_PORT = %d\nPICKLE_RECEIVER_PORT = 0\n"
                "CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = %d\n"
                "MAX_UPDATES_PER_SECOND = inf\nMAX_CREATES_PER_MINUTE = inf\n"
                "CARBON_METRIC_INTERVAL = 0\nENABLE_TAGS = False\n",
                self->folder, server_path (self, "whisper"), self->folder,
                self->folder, self->folder, self->port[0], self->port[1]));
    file_write (
      server_path (self, "storage-schemas.conf"),
      text_new ("[all]\npattern = .*\nretentions = %s\n", s_carbon_retentions));
    file_write (server_path (self, "storage-aggregation.conf"),
                s_carbon_aggregation);
    return s_list_keep (
      LIST ("env", text_new ("GRAPHITE_CONF_DIR=%s", self->folder),
            "carbon-cache", "--nodaemon", text_new ("--config=%s", config),
            text_new ("--logdir=%s", self->folder), "start"));
}

static const server_kind_t server_carbon = {
  .program = "carbon-cache", .ports = 2, .configure = s_carbon_configure};

//  Writes the lines that it has read into a file.
static const char *const *
s_relay_configure (const server_t *self)
{
    const char *config = server_path (self, "relay.conf");
    file_write (config,
                text_new ("listen type linemode 127.0.0.1:%d proto tcp ;\n"
                          "cluster out file %s ;\n"
                          "match * send to out stop ;\n",
                          self->port[0], server_path (self, "lines")));
    return s_list_keep (LIST ("carbon-c-relay", "-f", config));
}

static const server_kind_t server_relay = {
  .program = "carbon-c-relay", .ports = 1, .configure = s_relay_configure};

//  --------------------------------------------------------------------------
//  What is on carbon's disk

//  A value of Graphite as an object of name, source, and what of a row its path's last
//  node says. The path begins with worker and source.
static void
s_graphite_add (cJSON *rows, const char *path, double value)
{
    char *copy = text_new ("%s", path), *name = copy, *suffix;
    cJSON *row = cJSON_CreateObject ();
    strsep (&name, ".");
    cJSON_AddStringToObject (row, "source", strsep (&name, "."));
    suffix = strrchr (name, '.');
    *suffix++ = 0;
    if (strncmp (suffix, "last_", 5) == 0)
        suffix += 5;
    cJSON_AddNumberToObject (row, suffix, value);
    cJSON_AddStringToObject (row, "name", name);
    cJSON_AddItemToArray (rows, row);
}

//  The points of a file of whisper's first archive: numbers of big end, 16 bytes in
//  front, 12 that say where an archive is, and 12 a point, time and value.
static void
s_whisper_read (cJSON *rows, const char *path, const char *file)
{
    size_t size, at;
    const char *data = file_read (file, &size);
    uint32_t place[3], second;
    uint64_t bits;
    double value;
    if (size < 28)
        return;
    memcpy (place, data + 16, sizeof place);
    at = ntohl (place[0]);
    for (uint32_t i = 0; i < ntohl (place[2]) && at + 12 <= size;
         i++, at += 12) {
        memcpy (&second, data + at, sizeof second);
        memcpy (&bits, data + at + 4, sizeof bits);
        bits = be64toh (bits);
        memcpy (&value, &bits, sizeof value);
        if (second)
            s_graphite_add (rows, path, value);
    }
}

static cJSON *s_carbon_rows;
static size_t s_carbon_root;  //  bytes of the folder's path

static int
s_carbon_file (const char *file, const struct stat *status, int type,
               struct FTW *place)
{
    size_t size = strlen (file);
    char *path =
      text_new ("%s", file + (size > s_carbon_root ? s_carbon_root : 0));
    (void) status, (void) place;
    if (type != FTW_F || size < 5 || strcmp (file + size - 4, ".wsp") != 0)
        return 0;
    path[strlen (path) - 4] = 0;
    for (char *c = path; (c = strchr (c, '/'));)
        *c = '.';
    s_whisper_read (s_carbon_rows, path, file);
    return 0;
}

//  All points on carbon's disk, each as an object of name, source and one field.
//  Caller deletes the return value.
static cJSON *
carbon_rows (const server_t *self, const char *database)
{
    const char *folder = server_path (self, "whisper/");
    (void) database;
    s_carbon_rows = cJSON_CreateArray ();
    s_carbon_root = strlen (folder);
    nftw (folder, s_carbon_file, 16, FTW_PHYS);
    return s_carbon_rows;
}

//  Its writer sleeps for a second when it has written all, and a stop does not wake
//  it up. So nothing must have been written for longer than that.
static void
carbon_settle (const server_t *self)
{
    enum { QUIET_MS = 1500 };
    int points = -1;
    for (int64_t since = now_ms (); now_ms () < since + QUIET_MS;
         poll_pause ()) {
        cJSON *rows = carbon_rows (self, NULL);
        if (cJSON_GetArraySize (rows) != points)
            since = now_ms ();
        points = cJSON_GetArraySize (rows);
        cJSON_Delete (rows);
    }
}

#endif
