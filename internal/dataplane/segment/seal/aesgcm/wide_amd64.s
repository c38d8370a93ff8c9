#include "textflag.h"

// The order of a block's bytes reversed: the field's elements are then numbers.
DATA reverse<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+8(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16

// x^63 + x^62 + x^57 in 64 bits: what a number's lowest 64 bits, which stand for powers
// of x from 128 on, are multiplied with to add them where they belong.
DATA fold<>+0(SB)/8, $0xc200000000000000
DATA fold<>+8(SB)/8, $0xc200000000000000
GLOBL fold<>(SB), RODATA|NOPTR, $16

// What is added to four counters, which are the low 32 bits of blocks in reversed order:
// 1, 2, 3, 4, and 4, 8 and so on to each.
DATA first<>+0(SB)/8, $1
DATA first<>+8(SB)/8, $0
DATA first<>+16(SB)/8, $2
DATA first<>+24(SB)/8, $0
DATA first<>+32(SB)/8, $3
DATA first<>+40(SB)/8, $0
DATA first<>+48(SB)/8, $4
DATA first<>+56(SB)/8, $0
GLOBL first<>(SB), RODATA|NOPTR, $64

DATA next<>+0(SB)/8, $4
DATA next<>+8(SB)/8, $0
DATA next<>+16(SB)/8, $8
DATA next<>+24(SB)/8, $0
DATA next<>+32(SB)/8, $12
DATA next<>+40(SB)/8, $0
DATA next<>+48(SB)/8, $16
DATA next<>+56(SB)/8, $0
DATA next<>+64(SB)/8, $20
DATA next<>+72(SB)/8, $0
DATA next<>+80(SB)/8, $24
DATA next<>+88(SB)/8, $0
DATA next<>+96(SB)/8, $28
DATA next<>+104(SB)/8, $0
DATA next<>+112(SB)/8, $32
DATA next<>+120(SB)/8, $0
GLOBL next<>(SB), RODATA|NOPTR, $128

// Registers:
//	Z0–Z7    the key stream of 32 blocks; or
//	Z0–Z3    of sixteen; then free
//	Z4–Z7    what is hashed of them
//	Z8       four counters, reversed
//	Z9       reverse
//	Z10      the hash so far, reversed, in the lowest block; the others zero
//	Z11–Z15  of a multiplication: low, high, middle; powers; free
//	Z16–Z30  round keys
//	Z31      fold

#define ROUND(key) \
	VAESENC key, Z0, Z0; \
	VAESENC key, Z1, Z1; \
	VAESENC key, Z2, Z2; \
	VAESENC key, Z3, Z3

// KEYSTREAM makes the next sixteen blocks.
#define KEYSTREAM \
	VBROADCASTI32X4 next<>+0(SB), Z1; \
	VBROADCASTI32X4 next<>+16(SB), Z2; \
	VBROADCASTI32X4 next<>+32(SB), Z3; \
	VBROADCASTI32X4 next<>+48(SB), Z4; \
	VPADDD  Z8, Z1, Z1; \
	VPADDD  Z8, Z2, Z2; \
	VPADDD  Z8, Z3, Z3; \
	VPSHUFB Z9, Z8, Z0; \
	VPADDD  Z8, Z4, Z8; \
	VPSHUFB Z9, Z1, Z1; \
	VPSHUFB Z9, Z2, Z2; \
	VPSHUFB Z9, Z3, Z3; \
	VPXORQ  Z16, Z0, Z0; \
	VPXORQ  Z16, Z1, Z1; \
	VPXORQ  Z16, Z2, Z2; \
	VPXORQ  Z16, Z3, Z3; \
	ROUND(Z17); \
	ROUND(Z18); \
	ROUND(Z19); \
	ROUND(Z20); \
	ROUND(Z21); \
	ROUND(Z22); \
	ROUND(Z23); \
	ROUND(Z24); \
	ROUND(Z25); \
	ROUND(Z26); \
	ROUND(Z27); \
	ROUND(Z28); \
	ROUND(Z29); \
	VAESENCLAST Z30, Z0, Z0; \
	VAESENCLAST Z30, Z1, Z1; \
	VAESENCLAST Z30, Z2, Z2; \
	VAESENCLAST Z30, Z3, Z3

// PRODUCT multiplies four blocks with the four powers at an address, and adds to the
// products of those before.
#define PRODUCT(powers, data) \
	VMOVDQU64  powers, Z14; \
	VPCLMULQDQ $0x00, Z14, data, Z0; \
	VPCLMULQDQ $0x11, Z14, data, Z1; \
	VPCLMULQDQ $0x01, Z14, data, Z2; \
	VPCLMULQDQ $0x10, Z14, data, Z3; \
	VPXORQ     Z0, Z11, Z11; \
	VPXORQ     Z1, Z12, Z12; \
	VPTERNLOGQ $0x96, Z2, Z3, Z13

// HASH adds sixteen blocks, in Z4 to Z7, to the hash; R12 are their powers. The
// products' lowest 128 bits stand for powers of x from 128 on: they are folded upwards,
// 64 bits at a time.
#define HASH \
	VPSHUFB    Z9, Z4, Z4; \
	VPSHUFB    Z9, Z5, Z5; \
	VPSHUFB    Z9, Z6, Z6; \
	VPSHUFB    Z9, Z7, Z7; \
	VPXORQ     Z10, Z4, Z4; \
	VMOVDQU64  (R12), Z14; \
	VPCLMULQDQ $0x00, Z14, Z4, Z11; \
	VPCLMULQDQ $0x11, Z14, Z4, Z12; \
	VPCLMULQDQ $0x01, Z14, Z4, Z13; \
	VPCLMULQDQ $0x10, Z14, Z4, Z0; \
	VPXORQ     Z0, Z13, Z13; \
	PRODUCT(64(R12), Z5); \
	PRODUCT(128(R12), Z6); \
	PRODUCT(192(R12), Z7); \
	VPSLLDQ    $8, Z13, Z0; \
	VPSRLDQ    $8, Z13, Z1; \
	VPXORQ     Z0, Z11, Z11; \
	VPXORQ     Z1, Z12, Z12; \
	VPCLMULQDQ $0x00, Z31, Z11, Z0; \
	VPSHUFD    $0x4e, Z11, Z11; \
	VPXORQ     Z0, Z11, Z11; \
	VPCLMULQDQ $0x00, Z31, Z11, Z0; \
	VPSHUFD    $0x4e, Z11, Z11; \
	VPTERNLOGQ $0x96, Z0, Z11, Z12; \
	VEXTRACTI64X4 $1, Z12, Y0; \
	VPXOR      Y0, Y12, Y12; \
	VEXTRACTI128 $1, Y12, X0; \
	VPXOR      X0, X12, X10

// HASHONE multiplies the hash, to which a block was added, with H; R13 is where H is.
#define HASHONE \
	VMOVDQU    (R13), X14; \
	VPCLMULQDQ $0x00, X14, X10, X11; \
	VPCLMULQDQ $0x11, X14, X10, X12; \
	VPCLMULQDQ $0x01, X14, X10, X13; \
	VPCLMULQDQ $0x10, X14, X10, X0; \
	VPXOR      X0, X13, X13; \
	VPSLLDQ    $8, X13, X0; \
	VPSRLDQ    $8, X13, X1; \
	VPXOR      X0, X11, X11; \
	VPXOR      X1, X12, X12; \
	VPCLMULQDQ $0x00, X31, X11, X0; \
	VPSHUFD    $0x4e, X11, X11; \
	VPXOR      X0, X11, X11; \
	VPCLMULQDQ $0x00, X31, X11, X0; \
	VPSHUFD    $0x4e, X11, X11; \
	VPXOR      X0, X12, X12; \
	VPXOR      X11, X12, X10

// COUNTERS8 makes the next 32 counter blocks, with the first key.
#define COUNTERS8 \
	VBROADCASTI32X4 next<>+0(SB), Z1; \
	VBROADCASTI32X4 next<>+16(SB), Z2; \
	VBROADCASTI32X4 next<>+32(SB), Z3; \
	VBROADCASTI32X4 next<>+48(SB), Z4; \
	VBROADCASTI32X4 next<>+64(SB), Z5; \
	VBROADCASTI32X4 next<>+80(SB), Z6; \
	VBROADCASTI32X4 next<>+96(SB), Z7; \
	VBROADCASTI32X4 next<>+112(SB), Z11; \
	VPADDD  Z8, Z1, Z1; \
	VPADDD  Z8, Z2, Z2; \
	VPADDD  Z8, Z3, Z3; \
	VPADDD  Z8, Z4, Z4; \
	VPADDD  Z8, Z5, Z5; \
	VPADDD  Z8, Z6, Z6; \
	VPADDD  Z8, Z7, Z7; \
	VPSHUFB Z9, Z8, Z0; \
	VPADDD  Z8, Z11, Z8; \
	VPSHUFB Z9, Z1, Z1; \
	VPSHUFB Z9, Z2, Z2; \
	VPSHUFB Z9, Z3, Z3; \
	VPSHUFB Z9, Z4, Z4; \
	VPSHUFB Z9, Z5, Z5; \
	VPSHUFB Z9, Z6, Z6; \
	VPSHUFB Z9, Z7, Z7; \
	VPXORQ  Z16, Z0, Z0; \
	VPXORQ  Z16, Z1, Z1; \
	VPXORQ  Z16, Z2, Z2; \
	VPXORQ  Z16, Z3, Z3; \
	VPXORQ  Z16, Z4, Z4; \
	VPXORQ  Z16, Z5, Z5; \
	VPXORQ  Z16, Z6, Z6; \
	VPXORQ  Z16, Z7, Z7

#define ROUND8(key) \
	VAESENC key, Z0, Z0; \
	VAESENC key, Z1, Z1; \
	VAESENC key, Z2, Z2; \
	VAESENC key, Z3, Z3; \
	VAESENC key, Z4, Z4; \
	VAESENC key, Z5, Z5; \
	VAESENC key, Z6, Z6; \
	VAESENC key, Z7, Z7

// BEGIN multiplies the first of eight rows at R8, to which the hash is added.
#define BEGIN \
	VMOVDQU64  (R8), Z14; \
	VPSHUFB    Z9, Z14, Z14; \
	VPXORQ     Z10, Z14, Z14; \
	VPCLMULQDQ $0x00, -256(R12), Z14, Z11; \
	VPCLMULQDQ $0x11, -256(R12), Z14, Z12; \
	VPCLMULQDQ $0x01, -256(R12), Z14, Z13; \
	VPCLMULQDQ $0x10, -256(R12), Z14, Z15; \
	VPXORQ     Z15, Z13, Z13

// ROW multiplies a further one.
#define ROW(row, powers) \
	VMOVDQU64  row(R8), Z14; \
	VPSHUFB    Z9, Z14, Z14; \
	VPCLMULQDQ $0x00, powers(R12), Z14, Z15; \
	VPXORQ     Z15, Z11, Z11; \
	VPCLMULQDQ $0x11, powers(R12), Z14, Z15; \
	VPXORQ     Z15, Z12, Z12; \
	VPCLMULQDQ $0x01, powers(R12), Z14, Z15; \
	VPXORQ     Z15, Z13, Z13; \
	VPCLMULQDQ $0x10, powers(R12), Z14, Z15; \
	VPXORQ     Z15, Z13, Z13

// FOLD1, FOLD2, FOLD3 and FOLD4 make the hash of their products, as HASH does.
#define FOLD1 \
	VPSLLDQ    $8, Z13, Z14; \
	VPSRLDQ    $8, Z13, Z15; \
	VPXORQ     Z14, Z11, Z11; \
	VPXORQ     Z15, Z12, Z12

#define FOLD2 \
	VPCLMULQDQ $0x00, Z31, Z11, Z14; \
	VPSHUFD    $0x4e, Z11, Z11; \
	VPXORQ     Z14, Z11, Z11

#define FOLD3 \
	VPCLMULQDQ $0x00, Z31, Z11, Z14; \
	VPSHUFD    $0x4e, Z11, Z11; \
	VPTERNLOGQ $0x96, Z14, Z11, Z12

#define FOLD4 \
	VEXTRACTI64X4 $1, Z12, Y14; \
	VPXOR      Y14, Y12, Y12; \
	VEXTRACTI128 $1, Y12, X14; \
	VPXOR      X14, X12, X10

// XOR8 adds the key stream to 512 bytes.
#define XOR8 \
	VAESENCLAST Z30, Z0, Z0; \
	VAESENCLAST Z30, Z1, Z1; \
	VAESENCLAST Z30, Z2, Z2; \
	VAESENCLAST Z30, Z3, Z3; \
	VAESENCLAST Z30, Z4, Z4; \
	VAESENCLAST Z30, Z5, Z5; \
	VAESENCLAST Z30, Z6, Z6; \
	VAESENCLAST Z30, Z7, Z7; \
	VPXORQ    0(SI), Z0, Z0; \
	VPXORQ    64(SI), Z1, Z1; \
	VPXORQ    128(SI), Z2, Z2; \
	VPXORQ    192(SI), Z3, Z3; \
	VPXORQ    256(SI), Z4, Z4; \
	VPXORQ    320(SI), Z5, Z5; \
	VPXORQ    384(SI), Z6, Z6; \
	VPXORQ    448(SI), Z7, Z7; \
	VMOVDQU64 Z0, 0(DX); \
	VMOVDQU64 Z1, 64(DX); \
	VMOVDQU64 Z2, 128(DX); \
	VMOVDQU64 Z3, 192(DX); \
	VMOVDQU64 Z4, 256(DX); \
	VMOVDQU64 Z5, 320(DX); \
	VMOVDQU64 Z6, 384(DX); \
	VMOVDQU64 Z7, 448(DX)

// MASK sets k to as many bits as there are bytes left in CX from a 64-byte row on.
#define MASK(row, k) \
	MOVQ    CX, BX; \
	SUBQ    $row, BX; \
	CMOVQLT R14, BX; \
	BZHIQ   BX, R15, BX; \
	KMOVQ   BX, k

// func crypt(w *wide, dst, src []byte, nonce *[12]byte, aad, tag *[16]byte, opening uint64)
TEXT ·crypt(SB), NOSPLIT, $0-88
	MOVQ w+0(FP), DI
	MOVQ dst_base+8(FP), DX
	MOVQ src_base+32(FP), SI
	MOVQ src_len+40(FP), CX
	MOVQ nonce+56(FP), R8
	MOVQ aad+64(FP), R9
	MOVQ tag+72(FP), R10
	MOVQ opening+80(FP), R11
	LEAQ 512(DI), R12
	LEAQ 752(DI), R13

	VBROADCASTI32X4 0(DI), Z16
	VBROADCASTI32X4 16(DI), Z17
	VBROADCASTI32X4 32(DI), Z18
	VBROADCASTI32X4 48(DI), Z19
	VBROADCASTI32X4 64(DI), Z20
	VBROADCASTI32X4 80(DI), Z21
	VBROADCASTI32X4 96(DI), Z22
	VBROADCASTI32X4 112(DI), Z23
	VBROADCASTI32X4 128(DI), Z24
	VBROADCASTI32X4 144(DI), Z25
	VBROADCASTI32X4 160(DI), Z26
	VBROADCASTI32X4 176(DI), Z27
	VBROADCASTI32X4 192(DI), Z28
	VBROADCASTI32X4 208(DI), Z29
	VBROADCASTI32X4 224(DI), Z30
	VBROADCASTI32X4 reverse<>(SB), Z9
	VBROADCASTI32X4 fold<>(SB), Z31

	// The nonce and a counter of 1: the block whose key stream masks the tag.
	VMOVQ   (R8), X8
	VPINSRD $2, 8(R8), X8, X8
	MOVL    $0x01000000, AX
	VPINSRD $3, AX, X8, X8
	VPXORQ  X16, X8, X15
	VAESENC X17, X15, X15
	VAESENC X18, X15, X15
	VAESENC X19, X15, X15
	VAESENC X20, X15, X15
	VAESENC X21, X15, X15
	VAESENC X22, X15, X15
	VAESENC X23, X15, X15
	VAESENC X24, X15, X15
	VAESENC X25, X15, X15
	VAESENC X26, X15, X15
	VAESENC X27, X15, X15
	VAESENC X28, X15, X15
	VAESENC X29, X15, X15
	VAESENCLAST X30, X15, X15
	VMOVDQU X15, (R10)

	VPSHUFB    X9, X8, X8
	VSHUFI64X2 $0, Z8, Z8, Z8
	VPADDD     first<>(SB), Z8, Z8

	VMOVDQU (R9), X10
	VPSHUFB X9, X10, X10
	HASHONE

	// 512 bytes at a time: while their key stream is made, others are hashed. Those are, when
	// opening, the same 512 bytes; when sealing, the 512 before, which are there already.
	CMPQ  CX, $512
	JB    full
	MOVQ  SI, R8
	TESTQ R11, R11
	JNZ   many
	COUNTERS8
	ROUND8(Z17)
	ROUND8(Z18)
	ROUND8(Z19)
	ROUND8(Z20)
	ROUND8(Z21)
	ROUND8(Z22)
	ROUND8(Z23)
	ROUND8(Z24)
	ROUND8(Z25)
	ROUND8(Z26)
	ROUND8(Z27)
	ROUND8(Z28)
	ROUND8(Z29)
	XOR8
	MOVQ  DX, R8
	ADDQ  $512, SI
	ADDQ  $512, DX
	SUBQ  $512, CX

many:
	CMPQ CX, $512
	JB   last
	COUNTERS8
	ROUND8(Z17)
	BEGIN
	ROUND8(Z18)
	ROW(64, -192)
	ROUND8(Z19)
	ROW(128, -128)
	ROUND8(Z20)
	ROW(192, -64)
	ROUND8(Z21)
	ROW(256, 0)
	ROUND8(Z22)
	ROW(320, 64)
	ROUND8(Z23)
	ROW(384, 128)
	ROUND8(Z24)
	ROW(448, 192)
	ROUND8(Z25)
	FOLD1
	ROUND8(Z26)
	FOLD2
	ROUND8(Z27)
	FOLD3
	ROUND8(Z28)
	FOLD4
	ROUND8(Z29)
	XOR8
	ADDQ $512, R8
	ADDQ $512, SI
	ADDQ $512, DX
	SUBQ $512, CX
	JMP  many

last:
	TESTQ R11, R11
	JNZ   full
	BEGIN
	ROW(64, -192)
	ROW(128, -128)
	ROW(192, -64)
	ROW(256, 0)
	ROW(320, 64)
	ROW(384, 128)
	ROW(448, 192)
	FOLD1
	FOLD2
	FOLD3
	FOLD4

full:
	CMPQ CX, $256
	JB   rest
	KEYSTREAM
	VMOVDQU64 0(SI), Z4
	VMOVDQU64 64(SI), Z5
	VMOVDQU64 128(SI), Z6
	VMOVDQU64 192(SI), Z7
	VPXORQ    Z4, Z0, Z0
	VPXORQ    Z5, Z1, Z1
	VPXORQ    Z6, Z2, Z2
	VPXORQ    Z7, Z3, Z3
	VMOVDQU64 Z0, 0(DX)
	VMOVDQU64 Z1, 64(DX)
	VMOVDQU64 Z2, 128(DX)
	VMOVDQU64 Z3, 192(DX)
	TESTQ     R11, R11
	JNZ       fullHash
	VMOVDQA64 Z0, Z4
	VMOVDQA64 Z1, Z5
	VMOVDQA64 Z2, Z6
	VMOVDQA64 Z3, Z7

fullHash:
	HASH
	ADDQ $256, SI
	ADDQ $256, DX
	SUBQ $256, CX
	JMP  full

rest:
	TESTQ CX, CX
	JZ    end
	XORQ  R14, R14
	MOVQ  $-1, R15
	MASK(0, K1)
	MASK(64, K2)
	MASK(128, K3)
	MASK(192, K4)
	KEYSTREAM
	VMOVDQU8.Z 0(SI), K1, Z4
	VMOVDQU8.Z 64(SI), K2, Z5
	VMOVDQU8.Z 128(SI), K3, Z6
	VMOVDQU8.Z 192(SI), K4, Z7
	VPXORQ     Z4, Z0, Z0
	VPXORQ     Z5, Z1, Z1
	VPXORQ     Z6, Z2, Z2
	VPXORQ     Z7, Z3, Z3
	VMOVDQU8   Z0, K1, 0(DX)
	VMOVDQU8   Z1, K2, 64(DX)
	VMOVDQU8   Z2, K3, 128(DX)
	VMOVDQU8   Z3, K4, 192(DX)
	TESTQ      R11, R11
	JNZ        restHash
	VMOVDQU8.Z Z0, K1, Z4
	VMOVDQU8.Z Z1, K2, Z5
	VMOVDQU8.Z Z2, K3, Z6
	VMOVDQU8.Z Z3, K4, Z7

restHash:
	// The last block is multiplied with H: 16 less the number of blocks is where the
	// powers begin.
	ADDQ $15, CX
	SHRQ $4, CX
	MOVQ $16, AX
	SUBQ CX, AX
	SHLQ $4, AX
	ADDQ AX, R12
	HASH

end:
	// Last the lengths in bits, of the header and of the body.
	MOVQ    src_len+40(FP), AX
	SHLQ    $3, AX
	VMOVQ   AX, X4
	MOVQ    $128, AX
	VPINSRQ $1, AX, X4, X4
	VPXOR   X4, X10, X10
	HASHONE
	VPSHUFB X9, X10, X10
	VPXOR   (R10), X10, X10
	VMOVDQU X10, (R10)
	VZEROUPPER
	RET

// func subWord(word uint32) uint32
TEXT ·subWord(SB), NOSPLIT, $0-12
	// The word in all four columns: shifting rows changes nothing, and the last round
	// mixes no columns.
	MOVL       word+0(FP), AX
	MOVD       AX, X0
	PSHUFD     $0, X0, X0
	PXOR       X1, X1
	AESENCLAST X1, X0
	MOVD       X0, AX
	MOVL       AX, ret+8(FP)
	RET
