#include "textflag.h"
#include "go_asm.h"

// func scanLines(dst, src *byte, n int, s *lineScan) (scanned int)
//
// DI, SI  where to write and read the next block
// CX      the end of src
// R8      start of the current line, as an address in src
// R9      longest line so far
// Y10–Y12 LF, CR, '.' in every octet
// Y13     least octet so far, signed: a value below 1 is NUL or 8-bit
TEXT ·scanLines(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ s+24(FP), R11
	ADDQ SI, CX
	MOVQ SI, R8
	SUBQ lineScan_line(R11), R8
	MOVQ lineScan_longest(R11), R9

	MOVL $0x0A0A0A0A, AX
	VMOVD AX, X10
	VPBROADCASTD X10, Y10
	MOVL $0x0D0D0D0D, AX
	VMOVD AX, X11
	VPBROADCASTD X11, Y11
	MOVL $0x2E2E2E2E, AX
	VMOVD AX, X12
	VPBROADCASTD X12, Y12
	MOVL $0x7F7F7F7F, AX
	VMOVD AX, X13
	VPBROADCASTD X13, Y13
	CMPQ SI, CX
	JAE  out

block:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VMOVDQU -1(SI), Y2
	VMOVDQU 31(SI), Y3
	VPCMPEQB Y0, Y10, Y4 // is LF
	VPCMPEQB Y1, Y10, Y5
	VPCMPEQB Y2, Y11, Y6 // after a CR
	VPCMPEQB Y3, Y11, Y7
	VPCMPEQB Y2, Y10, Y2 // after an LF
	VPCMPEQB Y3, Y10, Y3
	VPCMPEQB Y0, Y12, Y8 // is a dot
	VPCMPEQB Y1, Y12, Y9
	VPXOR Y4, Y6, Y6
	VPXOR Y5, Y7, Y7
	VPAND Y2, Y8, Y8
	VPAND Y3, Y9, Y9
	VPOR Y6, Y8, Y6 // bare CR or LF, dot after LF
	VPOR Y7, Y9, Y7
	VPOR Y6, Y7, Y8
	VPMOVMSKB Y8, DX
	TESTL DX, DX
	JNZ  stop

	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VPMINSB Y0, Y13, Y13
	VPMINSB Y1, Y13, Y13
	VPMOVMSKB Y4, AX
	VPMOVMSKB Y5, BX
	SHLQ $32, BX
	ORQ  BX, AX // one bit for each end of a line

	// The line that ends first: SI + tzcnt − 1 − R8 octets. Without an end
	// tzcnt sets the carry, and nothing changes.
	MOVQ SI, DX
	SUBQ R8, DX
	TZCNTQ AX, BX
	LEAQ -1(DX)(BX*1), BX
	CMOVQCS R9, BX
	CMPQ BX, R9
	CMOVQGT BX, R9

	// The line after the last end begins at SI + 64 − lzcnt. NOT and LEA leave
	// the carry of lzcnt alone.
	LZCNTQ AX, DX
	NOTQ DX
	LEAQ 65(SI)(DX*1), DX
	CMOVQCC DX, R8

	// Lines that begin and end within these 64 octets have at most 61.
	CMPQ R9, $61
	JLT  short

next:
	ADDQ $64, SI
	ADDQ $64, DI
	CMPQ SI, CX
	JB   block

out:
	MOVQ SI, AX
	SUBQ R8, AX
	MOVQ AX, lineScan_line(R11)
	MOVQ R9, lineScan_longest(R11)
	VPXOR Y0, Y0, Y0
	VPCMPGTB Y0, Y13, Y13
	VPMOVMSKB Y13, AX
	CMPL AX, $-1
	SETNE lineScan_odd(R11)
	SUBQ src+8(FP), SI
	MOVQ SI, scanned+32(FP)
	VZEROUPPER
	RET

short:
	TESTQ AX, AX
	JZ   next
	TZCNTQ AX, BX
	BLSRQ AX, AX
	JZ   next
	TZCNTQ AX, DX
	SUBQ BX, DX
	SUBQ $2, DX
	CMPQ DX, R9
	CMOVQGT DX, R9
	JMP  short

	// The octets before the first that is not plain are still processed here. All
	// 64 are written; those after the ones that count are overwritten later.
stop:
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VPMINSB Y0, Y13, Y13
	VPMINSB Y1, Y13, Y13
	VPMOVMSKB Y6, DX
	VPMOVMSKB Y7, BX
	SHLQ $32, BX
	ORQ  BX, DX
	TZCNTQ DX, R10 // the octets that count
	BLSMSKQ DX, DX
	SHRQ $1, DX // one bit for each of them
	VPMOVMSKB Y4, AX
	VPMOVMSKB Y5, BX
	SHLQ $32, BX
	ORQ  BX, AX
	ANDQ DX, AX

stopLine:
	TESTQ AX, AX
	JZ   stopped
	TZCNTQ AX, BX
	BLSRQ AX, AX
	LEAQ -1(SI)(BX*1), DX
	SUBQ R8, DX
	CMPQ DX, R9
	CMOVQGT DX, R9
	LEAQ 1(SI)(BX*1), R8
	JMP  stopLine

stopped:
	ADDQ R10, SI
	JMP  out

// func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL subleaf+4(FP), CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL BX, ebx+12(FP)
	MOVL CX, ecx+16(FP)
	MOVL DX, edx+20(FP)
	RET

// func xgetbv() (eax uint32)
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, eax+0(FP)
	RET
