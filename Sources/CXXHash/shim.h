// Header-only use: the hash is inlined into its callers, and no run-time library is needed.
// The library names its functions through macros that Swift can't import, hence the wrappers.
#ifndef SKEIN_CXXHASH_SHIM_H
#define SKEIN_CXXHASH_SHIM_H
#define XXH_INLINE_ALL
#include <xxhash.h>
static inline unsigned long long skein_xxh3_64(const void *data, size_t size, unsigned long long seed) {
    return XXH3_64bits_withSeed(data, size, seed);
}
static inline void skein_xxh3_128(const void *data, size_t size, unsigned char canonical[16]) {
    XXH128_canonicalFromHash((XXH128_canonical_t *)canonical, XXH3_128bits(data, size));
}
#endif
