/* Compiles the avx2 compression function of the BLAKE3 sources that the system has installed. */
#include <blake3_avx2_x86-64_unix.S>
