/* version.h - program name, version and commit, for --version, logs and envelopes. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H
const char *program_version(void);      /* "0.1.0"                         */
const char *program_commit(void);       /* "git describe" of the build     */
const char *program_instructions(void); /* "avx512f", "avx2", ... of this CPU */
#endif
