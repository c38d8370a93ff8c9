package dataplane

import (
	"cmp"
	"fmt"
	"slices"

	"causeway/internal/dataplane/session"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
	"causeway/internal/report"
)

// reportIPsec tells what was seen of an association's IPsec; nil: nothing.
func reportIPsec(now mono.Time, watched *session.Watched) *report.IPsec {
	if watched == nil {
		return nil
	}
	w := &watched.Watch
	if w.Last == [2]mono.Time{} {
		return nil
	}
	c := &w.IKE
	r := &report.IPsec{
		NATT: c.NATT || w.ESP(ipsec.ToEndpoint).SPIs+w.ESP(ipsec.ToClient).SPIs > 0, IKESAs: uint64(c.IKESAs), Collisions: uint64(c.Collisions),
		Exchanges: map[string]uint64{}, Answer: ms(c.Answer),
		ToEndpoint: reportLane(now, w, ipsec.ToEndpoint), ToClient: reportLane(now, w, ipsec.ToClient),
	}
	if c.Version != 0 {
		r.IKEVersion = fmt.Sprintf("%d.%d", c.Version>>4, c.Version&0xf)
	}
	if n := w.ESP(ipsec.ToEndpoint).SPIs; n > 1 {
		r.Rekeys = n - 1
	}
	for k, n := range c.Exchanges {
		if n > 0 {
			r.Exchanges[ipsec.ExchangeKind(k).String()] = uint64(n)
		}
	}
	return r
}

func reportLane(now mono.Time, w *ipsec.Watch, d ipsec.Direction) report.IPsecLane {
	e, c := w.ESP(d), &w.IKE
	r := report.IPsecLane{
		Idle: -1,
		ESP: report.ESPLane{
			Packets: e.Packets, Lost: e.Lost, Loss: e.Loss(), Duplicates: e.Duplicates, Reordered: e.Reordered,
			Outside32: e.Outside32, Outside64: e.Outside64, Gaps: e.Gaps, LongestGap: uint64(e.LongestGap), Strays: e.Strays, Refused: e.Refused,
		},
		IKE: report.IKELane{
			On500: uint64(c.Messages[0][d]), OnNATT: uint64(c.Messages[1][d]), Retransmits: uint64(c.Retransmit[d]), AnswerLost: uint64(c.AnswerLost[d]),
			Unanswered: uint64(c.Unanswered[d]), Fragments: uint64(c.Fragments[d]), Large: uint64(c.Large[d]), LargeAgain: uint64(c.LargeAgain[d]),
			LargestSize: uint64(c.Largest[d]), NoNATD: c.NoNATD[d], Probes: uint64(c.Probes[d].Sent), ProbeEvery: c.Probes[d].Every.Seconds(),
		},
	}
	if last := w.Last[d]; last != 0 {
		r.Idle = now.Sub(last).Seconds()
	}
	for i, n := range c.Notifies[d] {
		if n > 0 {
			if r.IKE.Notifies == nil {
				r.IKE.Notifies = map[string]uint64{}
			}
			r.IKE.Notifies[ipsec.NotifyName(i)] = uint64(n)
		}
	}
	var sas []ipsec.SA
	w.SAs(d, func(s ipsec.SA) { sas = append(sas, s) })
	slices.SortFunc(sas, func(a, b ipsec.SA) int { return cmp.Compare(b.Active, a.Active) })
	for _, s := range sas {
		r.SPIs = append(r.SPIs, fmt.Sprintf("%08x", s.SPI))
	}
	return r
}
