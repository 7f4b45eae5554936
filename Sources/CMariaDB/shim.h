// One module for everything of libmariadb: a second module that includes mysql.h as text would
// make enum constants vanish in Swift.
#ifndef SKEIN_CMARIADB_SHIM_H
#define SKEIN_CMARIADB_SHIM_H
#include <mysql.h>
#include <errmsg.h>
#include <mysqld_error.h>
#include <mariadb_rpl.h>
#include <ma_pvio.h>

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
#endif
