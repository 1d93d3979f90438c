/* A library for LD_PRELOAD that stands between a server and the file system.
 *
 * It can end the process at its n-th file operation, make operations fail or wait, and write down
 * every change below a folder, so that power_cuts.py can rebuild the folder as of any moment.
 *
 *   SHIM_DIR    only files whose path begins with this count (required)
 *   SHIM_MATCH  only a process that has this word in its command line (default "serve")
 *   SHIM_KILL   OP:N:before|after[:PART]     SIGKILL at the N-th OP on a path that contains PART
 *   SHIM_FAIL   OP:ERRNO[:PART]              every such OP fails
 *   SHIM_SLOW   OP:MILLISECONDS[:PART]       every such OP waits first
 *   SHIM_FILE   if set, FAIL and SLOW hold only while this file exists
 *   SHIM_LOG    the file that the changes are appended to
 *
 * OP is write (also pwrite), fsync (also fdatasync), rename, unlink, truncate, open or any.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { WRITE, FSYNC, RENAME, UNLINK, TRUNCATE, OPEN, ANY, KINDS };
static const char *kind_names[] = {"write", "fsync", "rename", "unlink", "truncate", "open", "any"};

#define MOST_FILES 65536
static char *paths[MOST_FILES]; /* of the open files below SHIM_DIR, by descriptor */

static struct rule {
    int on, kind, error, after;
    long nth, milliseconds, seen;
    char part[256];
} killing, failing, slowing;

static int active, log_fd = -1;
static const char *folder, *switch_file;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- The rules ---- */

static int kind_of(const char *name) {
    for (int kind = 0; kind < KINDS; kind++)
        if (!strcmp(name, kind_names[kind])) return kind;
    return -1;
}

static int error_of(const char *name) {
    static const struct { const char *name; int number; } errors[] = {
        {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EMFILE", EMFILE}, {"EROFS", EROFS}, {"EACCES", EACCES},
    };
    for (size_t n = 0; n < sizeof errors / sizeof *errors; n++)
        if (!strcmp(name, errors[n].name)) return errors[n].number;
    return atoi(name);
}

static void read_part(struct rule *rule, char *rest) {
    if (rest) strncpy(rule->part, rest, sizeof rule->part - 1);
    rule->on = 1;
}

static int concerned(void) { /* whether this process is the one that SHIM_MATCH means */
    char line[8192];
    const char *word = getenv("SHIM_MATCH");
    if (!word) word = "serve";
    int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t size = read(fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    if (size <= 0) return 0;
    line[size] = 0;
    for (ssize_t at = 0; at < size; at += strlen(line + at) + 1)
        if (!strcmp(line + at, word)) return 1;
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    char *text;
    folder = getenv("SHIM_DIR");
    if (!folder || !concerned()) return;
    switch_file = getenv("SHIM_FILE");
    if ((text = getenv("SHIM_KILL")) && (text = strdup(text))) {
        killing.kind = kind_of(strsep(&text, ":"));
        killing.nth = atol(strsep(&text, ":"));
        killing.after = !strcmp(strsep(&text, ":"), "after");
        read_part(&killing, text);
    }
    if ((text = getenv("SHIM_FAIL")) && (text = strdup(text))) {
        failing.kind = kind_of(strsep(&text, ":"));
        failing.error = error_of(strsep(&text, ":"));
        read_part(&failing, text);
    }
    if ((text = getenv("SHIM_SLOW")) && (text = strdup(text))) {
        slowing.kind = kind_of(strsep(&text, ":"));
        slowing.milliseconds = atol(strsep(&text, ":"));
        read_part(&slowing, text);
    }
    if ((text = getenv("SHIM_LOG")))
        log_fd = syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    active = 1;
}

static int concerns(const struct rule *rule, int kind, const char *path) {
    return rule->on && (rule->kind == kind || rule->kind == ANY) &&
           (!*rule->part || strstr(path, rule->part));
}

static int switched_on(void) {
    return !switch_file || syscall(SYS_access, switch_file, F_OK) == 0;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    pause();
}

/* Before an operation: returns the error that it must fail with, or holds the lock and returns 0. */
static int enter(int kind, const char *path) {
    if (concerns(&slowing, kind, path) && switched_on()) {
        struct timespec time = {slowing.milliseconds / 1000, slowing.milliseconds % 1000 * 1000000L};
        nanosleep(&time, 0);
    }
    if (concerns(&failing, kind, path) && switched_on()) return failing.error;
    pthread_mutex_lock(&lock);
    if (concerns(&killing, kind, path) && ++killing.seen == killing.nth && !killing.after) die();
    return 0;
}

static void leave(void) {
    if (killing.on && killing.after && killing.seen == killing.nth) die();
    pthread_mutex_unlock(&lock);
}

/* ---- The record of changes; power_cuts.py reads it ---- */

struct __attribute__((packed)) head {
    uint8_t kind;
    uint16_t path_size, other_size;
    uint32_t data_size;
    uint64_t nanoseconds, inode; /* CLOCK_MONOTONIC */
    int64_t offset;
};

static void note(int kind, int fd, int64_t offset, const char *path, const char *other,
                 const void *data, uint32_t size) {
    if (log_fd < 0) return;
    struct timespec now;
    struct stat file = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (fd >= 0) fstat(fd, &file);
    struct head head = {
        kind, strlen(path), other ? strlen(other) : 0, size,
        now.tv_sec * 1000000000ull + now.tv_nsec, file.st_ino, offset,
    };
    size_t total = sizeof head + head.path_size + head.other_size + size;
    char *record = malloc(total), *end = record;
    end = mempcpy(end, &head, sizeof head);
    end = mempcpy(end, path, head.path_size);
    if (other) end = mempcpy(end, other, head.other_size);
    if (data) memcpy(end, data, size);
    for (size_t done = 0; done < total;) {
        ssize_t written = syscall(SYS_write, log_fd, record + done, total - done);
        if (written <= 0) break;
        done += written;
    }
    free(record);
}

/* ---- The functions that stand before those of the C library ---- */

static int ours(const char *path) {
    return active && path && !strncmp(path, folder, strlen(folder));
}

static const char *path_of(int fd) {
    return active && fd >= 0 && fd < MOST_FILES ? paths[fd] : 0;
}

/* Runs CALL between enter and leave, and RECORD if it succeeded. */
#define GUARDED(type, kind, path, call, succeeded, record) \
    int error = enter(kind, path);                         \
    if (error) return errno = error, -1;                   \
    type result = call;                                    \
    int saved = errno;                                     \
    if (succeeded) record;                                 \
    leave();                                               \
    errno = saved;                                         \
    return result

static int opened(int at, const char *path, int flags, mode_t mode) {
    if (!ours(path)) return syscall(SYS_openat, at, path, flags, mode);
    int error = enter(OPEN, path);
    if (error) return errno = error, -1;
    int created = flags & O_CREAT && syscall(SYS_access, path, F_OK) != 0;
    int fd = syscall(SYS_openat, at, path, flags, mode), saved = errno;
    if (fd >= 0 && fd < MOST_FILES) {
        free(paths[fd]);
        paths[fd] = strdup(path);
        if (created) note(OPEN, fd, 0, path, 0, 0, 0);
        else if (flags & O_TRUNC) note(TRUNCATE, fd, 0, path, 0, 0, 0);
    }
    leave();
    errno = saved;
    return fd;
}

#define READ_MODE                              \
    mode_t mode = 0;                           \
    if (flags & (O_CREAT | O_TMPFILE)) {       \
        va_list rest;                          \
        va_start(rest, flags);                 \
        mode = va_arg(rest, int);              \
        va_end(rest);                          \
    }

int open(const char *path, int flags, ...) {
    READ_MODE return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    READ_MODE return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int at, const char *path, int flags, ...) {
    READ_MODE return opened(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
    READ_MODE return opened(at, path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
    if (path_of(fd)) {
        free(paths[fd]);
        paths[fd] = 0;
    }
    return syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *data, size_t size) {
    const char *path = path_of(fd);
    if (!path) return syscall(SYS_write, fd, data, size);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    GUARDED(ssize_t, WRITE, path, syscall(SYS_write, fd, data, size), result > 0,
            note(WRITE, fd, offset, path, 0, data, result));
}

static ssize_t written_at(int fd, const void *data, size_t size, off_t offset) {
    const char *path = path_of(fd);
    if (!path) return syscall(SYS_pwrite64, fd, data, size, offset);
    GUARDED(ssize_t, WRITE, path, syscall(SYS_pwrite64, fd, data, size, offset), result > 0,
            note(WRITE, fd, offset, path, 0, data, result));
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return written_at(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
    return written_at(fd, data, size, offset);
}

static int synced(int fd, long call) {
    const char *path = path_of(fd);
    if (!path) return syscall(call, fd);
    GUARDED(int, FSYNC, path, syscall(call, fd), !result, note(FSYNC, fd, 0, path, 0, 0, 0));
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int truncated(int fd, off_t size) {
    const char *path = path_of(fd);
    if (!path) return syscall(SYS_ftruncate, fd, size);
    GUARDED(int, TRUNCATE, path, syscall(SYS_ftruncate, fd, size), !result,
            note(TRUNCATE, fd, size, path, 0, 0, 0));
}
int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off_t size) { return truncated(fd, size); }

int rename(const char *from, const char *to) {
    if (!ours(from)) return syscall(SYS_rename, from, to);
    GUARDED(int, RENAME, from, syscall(SYS_rename, from, to), !result,
            note(RENAME, -1, 0, from, to, 0, 0));
}

int unlink(const char *path) {
    if (!ours(path)) return syscall(SYS_unlink, path);
    GUARDED(int, UNLINK, path, syscall(SYS_unlink, path), !result,
            note(UNLINK, -1, 0, path, 0, 0, 0));
}
