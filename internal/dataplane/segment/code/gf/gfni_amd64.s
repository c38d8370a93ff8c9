//go:build !purego

#include "textflag.h"

// All functions walk through blocks of 64 bytes. VGF2P8AFFINEQB multiplies each byte
// of a block, seen as a vector of 8 bits, by an 8×8 bit matrix: any linear map of
// GF(256), multiplication by a constant among them, whatever the polynomial.

// func mulAdd1(m uint64, in, out *byte, n int)
TEXT ·mulAdd1(SB), NOSPLIT, $0-32
	VPBROADCASTQ m+0(FP), Z0
	MOVQ         in+8(FP), R8
	MOVQ         out+16(FP), DI
	MOVQ         n+24(FP), CX
	XORQ         AX, AX

loop1:
	VMOVDQU64      (R8)(AX*1), Z4
	VGF2P8AFFINEQB $0, Z0, Z4, Z4
	VPXORQ         (DI)(AX*1), Z4, Z4
	VMOVDQU64      Z4, (DI)(AX*1)
	ADDQ           $64, AX
	CMPQ           AX, CX
	JLT            loop1
	VZEROUPPER
	RET

// func mulAdd4(m *[4]uint64, in0, in1, in2, in3, out *byte, n int)
TEXT ·mulAdd4(SB), NOSPLIT, $0-56
	MOVQ         m+0(FP), BX
	VPBROADCASTQ 0(BX), Z0
	VPBROADCASTQ 8(BX), Z1
	VPBROADCASTQ 16(BX), Z2
	VPBROADCASTQ 24(BX), Z3
	MOVQ         in0+8(FP), R8
	MOVQ         in1+16(FP), R9
	MOVQ         in2+24(FP), R10
	MOVQ         in3+32(FP), R11
	MOVQ         out+40(FP), DI
	MOVQ         n+48(FP), CX
	XORQ         AX, AX

loop4:
	VMOVDQU64      (R8)(AX*1), Z4
	VMOVDQU64      (R9)(AX*1), Z5
	VMOVDQU64      (R10)(AX*1), Z6
	VMOVDQU64      (R11)(AX*1), Z7
	VGF2P8AFFINEQB $0, Z0, Z4, Z4
	VGF2P8AFFINEQB $0, Z1, Z5, Z5
	VGF2P8AFFINEQB $0, Z2, Z6, Z6
	VGF2P8AFFINEQB $0, Z3, Z7, Z7
	VPXORQ         Z5, Z4, Z4
	VPTERNLOGQ     $0x96, Z7, Z6, Z4       // Z4 ^= Z6 ^ Z7
	VPXORQ         (DI)(AX*1), Z4, Z4
	VMOVDQU64      Z4, (DI)(AX*1)
	ADDQ           $64, AX
	CMPQ           AX, CX
	JLT            loop4
	VZEROUPPER
	RET

// func mulAdd8(m *[8]uint64, in *[8]*byte, out *byte, n int)
TEXT ·mulAdd8(SB), NOSPLIT, $0-32
	MOVQ         m+0(FP), BX
	VPBROADCASTQ 0(BX), Z16
	VPBROADCASTQ 8(BX), Z17
	VPBROADCASTQ 16(BX), Z18
	VPBROADCASTQ 24(BX), Z19
	VPBROADCASTQ 32(BX), Z20
	VPBROADCASTQ 40(BX), Z21
	VPBROADCASTQ 48(BX), Z22
	VPBROADCASTQ 56(BX), Z23
	MOVQ         in+8(FP), BX
	MOVQ         0(BX), R8
	MOVQ         8(BX), R9
	MOVQ         16(BX), R10
	MOVQ         24(BX), R11
	MOVQ         32(BX), R12
	MOVQ         40(BX), R13
	MOVQ         48(BX), SI
	MOVQ         56(BX), DX
	MOVQ         out+16(FP), DI
	MOVQ         n+24(FP), CX
	XORQ         AX, AX

loop8:
	VMOVDQU64      (R8)(AX*1), Z0
	VMOVDQU64      (R9)(AX*1), Z1
	VMOVDQU64      (R10)(AX*1), Z2
	VMOVDQU64      (R11)(AX*1), Z3
	VMOVDQU64      (R12)(AX*1), Z4
	VMOVDQU64      (R13)(AX*1), Z5
	VMOVDQU64      (SI)(AX*1), Z6
	VMOVDQU64      (DX)(AX*1), Z7
	VGF2P8AFFINEQB $0, Z16, Z0, Z0
	VGF2P8AFFINEQB $0, Z17, Z1, Z1
	VGF2P8AFFINEQB $0, Z18, Z2, Z2
	VGF2P8AFFINEQB $0, Z19, Z3, Z3
	VGF2P8AFFINEQB $0, Z20, Z4, Z4
	VGF2P8AFFINEQB $0, Z21, Z5, Z5
	VGF2P8AFFINEQB $0, Z22, Z6, Z6
	VGF2P8AFFINEQB $0, Z23, Z7, Z7
	VPTERNLOGQ     $0x96, Z2, Z1, Z0       // Z0 ^= Z1 ^ Z2
	VPTERNLOGQ     $0x96, Z5, Z4, Z3
	VPTERNLOGQ     $0x96, Z7, Z6, Z0
	VPTERNLOGQ     $0x96, (DI)(AX*1), Z3, Z0
	VMOVDQU64      Z0, (DI)(AX*1)
	ADDQ           $64, AX
	CMPQ           AX, CX
	JLT            loop8
	VZEROUPPER
	RET
