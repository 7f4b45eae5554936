// The library's beginnings are macros that pass its version and the size of its state, which Swift
// can't import, hence the wrappers. Both speak gzip's format alone.
#ifndef SKEIN_CZLIB_SHIM_H
#define SKEIN_CZLIB_SHIM_H
#include <zlib.h>
static inline int skein_gunzip_begin(z_stream *stream) {
    return inflateInit2(stream, 15 + 16);
}
static inline int skein_gzip_begin(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
#endif
