/* Loaded before the C library: gives the process whose command line names $MUSTER_WRONG_CLOCK/NAME's NAME another time of
 * day. The file holds how many milliseconds it is ahead, and may change while the process runs. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_ms;
static int (*real)(clockid_t, struct timespec *);

static int is_named(const char *name) {
    char line[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0) close(fd);
    for (ssize_t i = 0; i < length; i++) {
        if (!line[i]) line[i] = ' ';
    }
    line[length > 0 ? length : 0] = 0;
    return strstr(line, " controller ") && strstr(line, name);
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("MUSTER_WRONG_CLOCK");
    DIR *files = folder ? opendir(folder) : NULL;
    for (struct dirent *file; files && (file = readdir(files));) {
        if (file->d_name[0] == '.' || !is_named(file->d_name)) continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, file->d_name);
        int fd = open(path, O_RDONLY);
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead_ms, PROT_READ, MAP_SHARED, fd, 0);
        if (fd >= 0) close(fd);
        if (map != MAP_FAILED) ahead_ms = map;
    }
    if (files) closedir(files);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(clock, time);
    if (clock == CLOCK_REALTIME && ahead_ms && !answer) {
        int64_t ns = time->tv_nsec + *ahead_ms % 1000 * 1000000;
        time->tv_sec += *ahead_ms / 1000 + (ns >= 1000000000) - (ns < 0);
        time->tv_nsec = ns + (ns < 0 ? 1000000000 : 0) - (ns >= 1000000000 ? 1000000000 : 0);
    }
    return answer;
}
