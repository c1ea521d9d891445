/* version.c - who we are and what this CPU can do. The version and the commit come from CMake. */
#include "core/version.h"

const char *program_version(void) { return ASTROCLIP_VERSION; }
const char *program_commit(void) { return ASTROCLIP_COMMIT[0] ? ASTROCLIP_COMMIT : "unknown"; }

const char *program_instructions(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return "avx512f";
    if (__builtin_cpu_supports("avx2")) return "avx2";
    return "x86-64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "generic";
#endif
}
