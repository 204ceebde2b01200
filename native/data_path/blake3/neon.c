/* Compiles the NEON compression function of the BLAKE3 sources that the system has installed. */
#include <blake3_neon.c>
