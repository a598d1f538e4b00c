/*  disk.h - a disk for SQLite that can be full, and that remembers what was synced

    Include it, and call disk_mount before the store is opened: then it is between
    SQLite and the file system. Of each file below the folder that is watched, it
    keeps what was there at the last sync, and the writes since, so that disk_image
    can make the folder as it might be after a power loss: of the writes that were
    not synced there may be all, or none, or some, or parts of some. What was to be
    synced when a sync failed is never there: Linux does not try again to write it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef DISK_H
#define DISK_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

enum { DISK_FILES = 8, DISK_SECTOR = 512 };

//  A write, or a truncation (no bytes).
typedef struct {
    char *bytes;
    int64_t offset, size;
} disk_write_t;

typedef struct {
    char path[128];
    char *synced;
    int64_t size, max;
    disk_write_t *write;
    size_t writes, writes_max;
} disk_file_t;

static struct {
    sqlite3_vfs *below;
    char folder[64];  //  what is watched; "": nothing
    bool full;
    void (*step) (void);  //  called before each write and sync, or NULL
    //  Called for each sync, or NULL. Returns SQLITE_OK, or what the sync fails with.
    int (*sync) (void);
    pthread_mutex_t lock;  //  over what follows
    disk_file_t file[DISK_FILES];
    size_t files;
} s_disk;

//  What SQLite has of ours for a file; that of the file system is behind it.
typedef struct {
    sqlite3_file base;
    disk_file_t *file;  //  or NULL
    sqlite3_file *below;
} disk_open_t;

//  --------------------------------------------------------------------------
//  What was synced, and what was not

//  Called with s_disk.lock held, as all of this section.
static disk_file_t *
disk_find (const char *path)
{
    if (!path || !*s_disk.folder
        || strncmp (path, s_disk.folder, strlen (s_disk.folder)) != 0
        || strstr (path, "-shm"))
        return NULL;
    for (size_t i = 0; i < s_disk.files; i++)
        if (strcmp (s_disk.file[i].path, path) == 0)
            return &s_disk.file[i];
    assert_true (s_disk.files < DISK_FILES);
    strcpy (s_disk.file[s_disk.files].path, path);
    return &s_disk.file[s_disk.files++];
}

static void
disk_note (disk_file_t *self, const void *bytes, int64_t offset, int64_t size)
{
    disk_write_t *write;
    if (self->writes == self->writes_max) {
        self->writes_max = self->writes_max ? self->writes_max * 2 : 64;
        self->write = (disk_write_t *) realloc (
          self->write, self->writes_max * sizeof *self->write);
    }
    write = &self->write[self->writes++];
    *write = (disk_write_t){NULL, offset, size};
    if (bytes) {
        write->bytes = (char *) malloc ((size_t) size);
        memcpy (write->bytes, bytes, (size_t) size);
    }
}

static void
disk_room (disk_file_t *self, int64_t size)
{
    if (size > self->max) {
        self->synced = (char *) realloc (self->synced, (size_t) size * 2);
        self->max = size * 2;
    }
    if (size > self->size) {
        memset (self->synced + self->size, 0, (size_t) (size - self->size));
        self->size = size;
    }
}

//  A part of a write, or all of it.
static void
disk_apply (disk_file_t *self, const disk_write_t *write, int64_t from,
            int64_t to)
{
    if (!write->bytes) {
        disk_room (self, write->offset);
        self->size = write->offset;
        return;
    }
    disk_room (self, write->offset + to);
    memcpy (self->synced + write->offset + from, write->bytes + from,
            (size_t) (to - from));
}

//  All that was written is on disk, or if it was lost, only what was cut off.
static void
disk_settle (disk_file_t *self, bool lost)
{
    for (size_t i = 0; i < self->writes; i++) {
        if (!lost || !self->write[i].bytes)
            disk_apply (self, &self->write[i], 0, self->write[i].size);
        free (self->write[i].bytes);
    }
    self->writes = 0;
}

//  --------------------------------------------------------------------------
//  Files as SQLite sees them

static sqlite3_file *
disk_below (sqlite3_file *file)
{
    return ((disk_open_t *) file)->below;
}

static int
disk_close (sqlite3_file *file)
{
    return disk_below (file)->pMethods->xClose (disk_below (file));
}

static int
disk_read (sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    return disk_below (file)->pMethods->xRead (disk_below (file), bytes, size,
                                               offset);
}

static void
disk_remember (disk_file_t *self, const void *bytes, int64_t offset,
               int64_t size)
{
    if (!self)
        return;
    pthread_mutex_lock (&s_disk.lock);
    disk_note (self, bytes, offset, size);
    pthread_mutex_unlock (&s_disk.lock);
}

static int
disk_write (sqlite3_file *file, const void *bytes, int size,
            sqlite3_int64 offset)
{
    disk_file_t *self = ((disk_open_t *) file)->file;
    if (self && s_disk.full)
        return SQLITE_FULL;
    if (self && s_disk.step)
        s_disk.step ();
    disk_remember (self, bytes, offset, size);
    return disk_below (file)->pMethods->xWrite (disk_below (file), bytes, size,
                                                offset);
}

static int
disk_truncate (sqlite3_file *file, sqlite3_int64 size)
{
    disk_file_t *self = ((disk_open_t *) file)->file;
    if (self && s_disk.step)
        s_disk.step ();
    disk_remember (self, NULL, size, 0);
    return disk_below (file)->pMethods->xTruncate (disk_below (file), size);
}

//  Nobody waits for a real one: what is real here is what this file makes of it.
static int
disk_sync (sqlite3_file *file, int flags)
{
    disk_file_t *self = ((disk_open_t *) file)->file;
    int rc = SQLITE_OK;
    (void) flags;
    if (!self)
        return SQLITE_OK;
    if (s_disk.step)
        s_disk.step ();
    if (s_disk.sync)
        rc = s_disk.sync ();
    pthread_mutex_lock (&s_disk.lock);
    disk_settle (self, rc != SQLITE_OK);
    pthread_mutex_unlock (&s_disk.lock);
    return rc;
}

static int
disk_size (sqlite3_file *file, sqlite3_int64 *size)
{
    return disk_below (file)->pMethods->xFileSize (disk_below (file), size);
}

static int
disk_lock (sqlite3_file *file, int lock)
{
    return disk_below (file)->pMethods->xLock (disk_below (file), lock);
}

static int
disk_unlock (sqlite3_file *file, int lock)
{
    return disk_below (file)->pMethods->xUnlock (disk_below (file), lock);
}

static int
disk_reserved (sqlite3_file *file, int *result)
{
    return disk_below (file)->pMethods->xCheckReservedLock (disk_below (file),
                                                            result);
}

static int
disk_control (sqlite3_file *file, int operation, void *argument)
{
    return disk_below (file)->pMethods->xFileControl (disk_below (file),
                                                      operation, argument);
}

static int
disk_sector (sqlite3_file *file)
{
    return disk_below (file)->pMethods->xSectorSize (disk_below (file));
}

static int
disk_character (sqlite3_file *file)
{
    return disk_below (file)->pMethods->xDeviceCharacteristics (
      disk_below (file));
}

static int
disk_shm_map (sqlite3_file *file, int page, int size, int extend,
              void volatile **memory)
{
    return disk_below (file)->pMethods->xShmMap (disk_below (file), page, size,
                                                 extend, memory);
}

static int
disk_shm_lock (sqlite3_file *file, int offset, int count, int flags)
{
    return disk_below (file)->pMethods->xShmLock (disk_below (file), offset,
                                                  count, flags);
}

static void
disk_shm_barrier (sqlite3_file *file)
{
    disk_below (file)->pMethods->xShmBarrier (disk_below (file));
}

static int
disk_shm_unmap (sqlite3_file *file, int remove)
{
    return disk_below (file)->pMethods->xShmUnmap (disk_below (file), remove);
}

static const sqlite3_io_methods s_disk_methods = {
  .iVersion = 2,
  .xClose = disk_close,
  .xRead = disk_read,
  .xWrite = disk_write,
  .xTruncate = disk_truncate,
  .xSync = disk_sync,
  .xFileSize = disk_size,
  .xLock = disk_lock,
  .xUnlock = disk_unlock,
  .xCheckReservedLock = disk_reserved,
  .xFileControl = disk_control,
  .xSectorSize = disk_sector,
  .xDeviceCharacteristics = disk_character,
  .xShmMap = disk_shm_map,
  .xShmLock = disk_shm_lock,
  .xShmBarrier = disk_shm_barrier,
  .xShmUnmap = disk_shm_unmap,
};

static int
disk_open (sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
           int *flags_out)
{
    disk_open_t *self = (disk_open_t *) file;
    int rc;
    (void) vfs;
    self->below = (sqlite3_file *) (void *) (self + 1);
    rc =
      s_disk.below->xOpen (s_disk.below, path, self->below, flags, flags_out);
    pthread_mutex_lock (&s_disk.lock);
    self->file = disk_find (path);
    pthread_mutex_unlock (&s_disk.lock);
    self->base.pMethods = rc == SQLITE_OK ? &s_disk_methods : NULL;
    return rc;
}

//  A file that goes is empty from now on; its name may be the next one's.
static int
disk_delete (sqlite3_vfs *vfs, const char *path, int sync)
{
    disk_file_t *self;
    (void) vfs;
    pthread_mutex_lock (&s_disk.lock);
    self = disk_find (path);
    if (self) {
        disk_settle (self, false);
        self->size = 0;
    }
    pthread_mutex_unlock (&s_disk.lock);
    return s_disk.below->xDelete (s_disk.below, path, sync);
}

static void
disk_mount (void)
{
    static sqlite3_vfs vfs;
    pthread_mutex_init (&s_disk.lock, NULL);
    s_disk.below = sqlite3_vfs_find (NULL);
    vfs = *s_disk.below;
    vfs.zName = "disk";
    vfs.szOsFile = (int) sizeof (disk_open_t) + s_disk.below->szOsFile;
    vfs.xOpen = disk_open;
    vfs.xDelete = disk_delete;
    sqlite3_vfs_register (&vfs, 1);
}

//  --------------------------------------------------------------------------
//  After a power loss

static void
disk_copy (disk_file_t *self, const disk_file_t *from)
{
    *self = (disk_file_t){.size = 0};
    strcpy (self->path, from->path);
    disk_room (self, from->size + 1);
    memcpy (self->synced, from->synced ? from->synced : "",
            (size_t) from->size);
    self->size = from->size;
}

//  All, none, or some of what was not synced; of these perhaps a part, by sectors.
static void
disk_lose (disk_file_t *self, const disk_file_t *from)
{
    uint64_t kind = s_any () % 4;
    for (size_t i = 0; i < from->writes; i++) {
        const disk_write_t *write = &from->write[i];
        int64_t begin = 0, end = write->size;
        if (kind == 0 || (kind > 1 && s_any () % 3 == 0))
            continue;
        if (kind == 3 && end > DISK_SECTOR && s_any () % 2)
            begin = (int64_t) (s_any () % (uint64_t) (end / DISK_SECTOR))
                    * DISK_SECTOR;
        if (kind == 3 && end > DISK_SECTOR && s_any () % 2)
            end = begin
                  + (int64_t) (s_any ()
                               % (uint64_t) ((end - begin) / DISK_SECTOR + 1))
                      * DISK_SECTOR;
        disk_apply (self, write, begin, end);
    }
}

static void
disk_put (const char *folder, const disk_file_t *file)
{
    char path[256];
    FILE *out;
    snprintf (path, sizeof path, "%s%s", folder,
              file->path + strlen (s_disk.folder));
    out = fopen (path, "w");
    assert_non_null (out);
    assert_int_equal (fwrite (file->synced, 1, (size_t) file->size, out),
                      file->size);
    fclose (out);
}

//  Makes the files in another folder. A file that was never synced may be there, or
//  not.
__attribute__ ((unused)) static void
disk_image (const char *folder)
{
    disk_file_t lost[DISK_FILES];
    size_t count;
    pthread_mutex_lock (&s_disk.lock);
    count = s_disk.files;
    for (size_t i = 0; i < count; i++) {
        disk_copy (&lost[i], &s_disk.file[i]);
        disk_lose (&lost[i], &s_disk.file[i]);
    }
    pthread_mutex_unlock (&s_disk.lock);
    for (size_t i = 0; i < count; i++) {
        disk_put (folder, &lost[i]);
        free (lost[i].synced);
    }
}

__attribute__ ((unused)) static void
disk_unmount (void)
{
    sqlite3_vfs_unregister (sqlite3_vfs_find ("disk"));
    for (size_t i = 0; i < s_disk.files; i++) {
        disk_settle (&s_disk.file[i], false);
        free (s_disk.file[i].synced);
        free (s_disk.file[i].write);
    }
    pthread_mutex_destroy (&s_disk.lock);
    memset (&s_disk, 0, sizeof s_disk);
}

#endif
