/* Compiles the sse41 compression function of the BLAKE3 sources that the system has installed. */
#include <blake3_sse41_x86-64_unix.S>
