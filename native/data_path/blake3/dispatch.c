/* Compiles the choice of instruction set of the BLAKE3 sources that the system has installed. */
#include <blake3_dispatch.c>
