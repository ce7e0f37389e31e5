// The library of which a Go program takes its random numbers, and which wine 8
// lacks. See docs/compatibility.md.
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) { return RtlGenRandom(data, (ULONG)length); }
