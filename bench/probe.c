/* Looks at servers from outside, for scripts/bench.

   probe wait SOCKET SECONDS MICROSECONDS QUERY..
     Asks QUERY again and again, with a pause of MICROSECONDS, until its first value is neither absent
     nor 0; an error counts as absent. Prints the time, in seconds since 1970; then the next QUERY.
   probe latency SOURCE-SOCKET TARGET-SOCKET TABLE FIRST COUNT MICROSECONDS
     COUNT times, every MICROSECONDS: inserts the next number, from FIRST on, into TABLE (id, at) of
     the source, and asks the target without a pause until it is there. Prints one line a row: the
     microseconds from the answer to the insert (autocommit) until the row was seen. */
#include <errno.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void rest(double seconds) {
    if (seconds <= 0) return;
    struct timespec t = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {}
}

static MYSQL *opened(const char *socket) {
    MYSQL *server = mysql_init(NULL);
    if (!server || !mysql_real_connect(server, NULL, "root", NULL, NULL, 0, socket, 0)) {
        fprintf(stderr, "probe: %s: %s\n", socket, server ? mysql_error(server) : "no memory");
        exit(1);
    }
    return server;
}

/* Whether the first value is there and is not 0. */
static int holds(MYSQL *server, const char *query) {
    if (mysql_query(server, query) != 0) return 0;
    MYSQL_RES *result = mysql_store_result(server);
    if (!result) return 0;
    MYSQL_ROW row = mysql_fetch_row(result);
    int yes = row && row[0] && strcmp(row[0], "0") != 0;
    mysql_free_result(result);
    return yes;
}

static int waiting(int count, char **arguments) {
    MYSQL *server = opened(arguments[0]);
    double limit = now(CLOCK_MONOTONIC) + atof(arguments[1]), pause = atof(arguments[2]) / 1e6;
    for (int i = 3; i < count; i++) {
        while (!holds(server, arguments[i])) {
            if (now(CLOCK_MONOTONIC) > limit) {
                fprintf(stderr, "probe: not within %s s: %s\n", arguments[1], arguments[i]);
                return 1;
            }
            rest(pause);
        }
        printf("%.6f\n", now(CLOCK_REALTIME));
        fflush(stdout);
    }
    mysql_close(server);
    return 0;
}

static int latency(char **arguments) {
    MYSQL *source = opened(arguments[0]), *target = opened(arguments[1]);
    const char *table = arguments[2];
    long first = atol(arguments[3]), count = atol(arguments[4]);
    double period = atof(arguments[5]) / 1e6, start = now(CLOCK_MONOTONIC);
    char insert[256], query[256];
    for (long i = 0; i < count; i++) {
        rest(start + i * period - now(CLOCK_MONOTONIC));
        snprintf(insert, sizeof insert, "INSERT INTO %s VALUES (%ld, NOW(6))", table, first + i);
        snprintf(query, sizeof query, "SELECT 1 FROM %s WHERE id = %ld", table, first + i);
        if (mysql_query(source, insert) != 0) {
            fprintf(stderr, "probe: %s: %s\n", insert, mysql_error(source));
            return 1;
        }
        double committed = now(CLOCK_MONOTONIC), seen = committed;
        while (!holds(target, query)) {
            seen = now(CLOCK_MONOTONIC);
            if (seen > committed + 60) {
                fprintf(stderr, "probe: row %ld did not arrive within 60 s\n", first + i);
                return 1;
            }
        }
        seen = now(CLOCK_MONOTONIC);
        printf("%.0f\n", (seen - committed) * 1e6);
        fflush(stdout);
    }
    mysql_close(source);
    mysql_close(target);
    return 0;
}

int main(int count, char **arguments) {
    if (count >= 6 && strcmp(arguments[1], "wait") == 0) return waiting(count - 2, arguments + 2);
    if (count == 8 && strcmp(arguments[1], "latency") == 0) return latency(arguments + 2);
    fprintf(stderr, "usage: probe wait|latency ..: see bench/probe.c\n");
    return 2;
}
