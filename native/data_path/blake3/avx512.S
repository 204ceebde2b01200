/* Compiles the avx512 compression function of the BLAKE3 sources that the system has installed. */
#include <blake3_avx512_x86-64_unix.S>
