// One module for everything of libmariadb: a second module that includes mysql.h as text would
// make enum constants vanish in Swift.
#ifndef SKEIN_CMARIADB_SHIM_H
#define SKEIN_CMARIADB_SHIM_H
#include <mysql.h>
#include <errmsg.h>
#include <mysqld_error.h>
#include <mariadb_rpl.h>
#include <ma_pvio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// Bytes that the library has read ahead from the socket and nobody has taken yet.
static inline size_t skein_read_ahead(const MYSQL *mysql) {
    const struct st_ma_pvio *pvio = mysql->net.pvio;
    if (!pvio || !pvio->cache || pvio->cache_pos < pvio->cache) return 0;
    size_t taken = (size_t)(pvio->cache_pos - pvio->cache);
    return taken < pvio->cache_size ? pvio->cache_size - taken : 0;
}

// Length of the packet that begins the read-ahead, its four bytes of header included; 0 when not
// even these are there.
static inline size_t skein_next_packet(const MYSQL *mysql) {
    if (skein_read_ahead(mysql) < 4) return 0;
    const unsigned char *p = mysql->net.pvio->cache_pos;
    return 4 + ((size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16);
}

// Gives a connection whose bytes are read as they are (no TLS, no compression) a read-ahead of `room`
// bytes in place of the library's own of 16 KiB. Returns 0 where that can't be.
//
// It is the library's memory as before: `ma_pvio_close` frees it with free().
static inline int skein_enlarge_read_ahead(MYSQL *mysql, size_t room) {
    struct st_ma_pvio *pvio = mysql->net.pvio;
    if (!pvio || !pvio->cache || pvio->ctls || mysql->net.compress) return 0;
    size_t there = skein_read_ahead(mysql);
    if (there > room || room < PVIO_READ_AHEAD_CACHE_SIZE) return 0;
    unsigned char *larger = (unsigned char *)malloc(room);
    if (!larger) return 0;
    if (there > 0) memcpy(larger, pvio->cache_pos, there);
    free(pvio->cache);
    pvio->cache = larger;
    pvio->cache_pos = larger;
    pvio->cache_size = there;
    return 1;
}

// Adds to an enlarged read-ahead what the socket has, without waiting. An end or an error is left to
// whoever reads next.
static inline void skein_read_more(MYSQL *mysql, int socket, size_t room) {
    struct st_ma_pvio *pvio = mysql->net.pvio;
    if (!pvio || !pvio->cache) return;
    size_t there = skein_read_ahead(mysql);
    if (there > 0 && pvio->cache_pos != pvio->cache) memmove(pvio->cache, pvio->cache_pos, there);
    pvio->cache_pos = pvio->cache;
    pvio->cache_size = there;
    if (there >= room) return;
    ssize_t more = recv(socket, pvio->cache + there, room - there, MSG_DONTWAIT);
    if (more > 0) pvio->cache_size += (size_t)more;
}

// Takes the packet that begins the read-ahead, when all of it is there and it is one event: returns
// the event, which stays until more is read, and sets its length. Everything else (errors, the end,
// packets of several parts, one out of order) returns a null pointer, and is the library's.
static inline const unsigned char *skein_take_event(MYSQL *mysql, size_t *length) {
    size_t there = skein_read_ahead(mysql);
    if (there < 5) return 0;
    struct st_ma_pvio *pvio = mysql->net.pvio;
    const unsigned char *p = pvio->cache_pos;
    size_t payload = skein_next_packet(mysql) - 4;
    if (payload == 0 || payload >= 0xFFFFFF || payload + 4 > there) return 0;
    if (p[4] != 0 || p[3] != (unsigned char)mysql->net.pkt_nr) return 0;
    pvio->cache_pos += 4 + payload;
    mysql->net.compress_pkt_nr = ++mysql->net.pkt_nr;
    *length = payload - 1;
    return p + 5;
}
#endif
