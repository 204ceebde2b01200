/* Compiles the hash itself of the BLAKE3 sources that the system has installed. */
#include <blake3.c>
