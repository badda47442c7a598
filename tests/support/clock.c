/* A shim for LD_PRELOAD that lets a test set what a real redis-server takes for the time.
 *
 * The time is one int64, in microseconds since 1970, at the start of the file that TIM_TEST_CLOCK names. The file is
 * mapped, so the server sees the time the test has set with its very next command.
 *
 * libfaketime would do the same, but clashes with jemalloc, which redis-server is linked with. gettimeofday() alone is
 * enough: Redis 7.0 asks nothing else for TIME and for whether a key has expired, and runs its own timers by the
 * monotonic clock, which goes on as ever. So the product needs no hook that only a test uses.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static const volatile int64_t *shown;

__attribute__((constructor)) static void look(void) {
    const char *path = getenv("TIM_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shown, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort(); /* with the machine's time a test would pass or fail for the wrong reason */
    close(file);
    shown = page;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    (void)zone;
    int64_t now = *shown;
    tv->tv_sec = now / 1000000;
    tv->tv_usec = now % 1000000;
    return 0;
}
