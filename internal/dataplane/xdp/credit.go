package xdp

import (
	"errors"
	"sync/atomic"

	"github.com/cilium/ebpf/asm"
)

// Credit is a number of bytes of payload that flows may be forwarded for, several flows
// for one credit, and a flow for two. The program takes every packet off; with one of a flow's
// credits used up its packets go to user space. A packet passes while anything is left, and may take
// a credit below zero. The zero Credit is none.
type Credit uint32

var errNoCredit = errors.New("no room for more credits of flows")

// OpenCredit makes a credit of nothing, CloseCredit ends it and returns what was left of it;
// no flow may use it any more.
func (k *Kernel) OpenCredit() (Credit, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.freeLoans)
	if n == 0 {
		return 0, errNoCredit
	}
	c := k.freeLoans[n-1]
	k.freeLoans = k.freeLoans[:n-1]
	atomic.StoreInt64(&k.loans[c], 0)
	return Credit(c), nil
}

// CloseCredit: see OpenCredit.
func (k *Kernel) CloseCredit(c Credit) (left int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.freeLoans = append(k.freeLoans, uint32(c))
	return atomic.SwapInt64(&k.loans[c], 0)
}

// Lend adds bytes to a credit, or takes some away, and returns what is left then.
func (k *Kernel) Lend(c Credit, bytes int64) (left int64) {
	return atomic.AddInt64(&k.loans[c], bytes)
}

// solvent goes on while there is something left of a flow's credits, R8, and notes which they
// are; otherwise at "look4".
func solvent(m *maps) (p asm.Instructions) {
	for i := range int16(2) {
		then := [...]string{"second", "paid"}[i]
		p = append(p,
			asm.Mov.Imm(asm.R0, 0).WithSymbol([...]string{"first", "second"}[i]),
			asm.StoreMem(asm.RFP, stPays+8*i, asm.R0, asm.DWord),
			asm.LoadMem(asm.R4, asm.R8, flowCredit+4*i, asm.Word),
			asm.JEq.Imm(asm.R4, 0, then),
			asm.StoreMem(asm.RFP, stKey, asm.R4, asm.Word),
		)
		p = append(p, lookUp(m.credits.FD(), stKey)...)
		p = append(p,
			asm.JEq.Imm(asm.R0, 0, "look4"),
			asm.LoadMem(asm.R4, asm.R0, 0, asm.DWord),
			asm.JSLE.Imm(asm.R4, 0, "look4"),
			asm.StoreMem(asm.RFP, stPays+8*i, asm.R0, asm.DWord),
		)
	}
	return append(p, asm.Mov.Reg(asm.R0, asm.R6).WithSymbol("paid"))
}

// pay takes a packet that leaves off the credits that solvent has found.
func pay() (p asm.Instructions) {
	p = append(p,
		asm.Mov.Imm(asm.R4, 0),
		asm.LoadMem(asm.R5, asm.RFP, stLen, asm.DWord),
		asm.Sub.Reg(asm.R4, asm.R5),
	)
	for i := range int16(2) {
		then := [...]string{"half", "all"}[i]
		p = append(p,
			asm.LoadMem(asm.R1, asm.RFP, stPays+8*i, asm.DWord),
			asm.JEq.Imm(asm.R1, 0, then),
			asm.AddAtomic.Mem(asm.R1, asm.R4, asm.DWord, 0),
			asm.Mov.Reg(asm.R0, asm.R6).WithSymbol(then),
		)
	}
	return p
}
