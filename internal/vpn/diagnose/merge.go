package diagnose

import (
	"cmp"
	"slices"

	"causeway/internal/vpn"
)

// vague are codes that say that something is wrong more than what; a finding
// with any other code explains them.
var vague = []vpn.Code{vpn.HalfOpenLimit, vpn.NoResponse, vpn.NegotiationFailed, vpn.ProposalMismatch, vpn.Phase1NegotiationTimeout, vpn.Phase2NegotiationTimeout, vpn.ReceiveDeleteNotify, vpn.Port4500Blocked}

// Merge puts findings from anywhere into one list: each code of each tunnel
// once, as its newest finding has it, and ranked by Rank. NoExceptionFound
// stands only where nothing else does.
func Merge(lists ...[]vpn.Finding) []vpn.Finding {
	type key struct {
		connection, tunnel, field string
		code                      vpn.Code
	}
	newest := map[key]vpn.Finding{}
	var order []key
	for _, f := range slices.Concat(lists...) {
		k := key{f.Connection, f.Tunnel, "", f.Code}
		if f.At.IsZero() {
			k.field = f.Field // lints: one code may be true of several fields
		}
		old, known := newest[k]
		if !known {
			order = append(order, k)
		}
		// One that knows the values that differ says more than a newer one that does not.
		if !known || !f.At.Before(old.At) && (f.Remote != "" || old.Remote == "") {
			newest[k] = f
		}
	}
	var all []vpn.Finding
	for _, k := range order {
		all = append(all, newest[k])
	}
	if len(all) > 1 {
		all = slices.DeleteFunc(all, func(f vpn.Finding) bool {
			return f.Code == vpn.NoExceptionFound && slices.ContainsFunc(all, func(g vpn.Finding) bool { return g.Connection == f.Connection && g.Code != vpn.NoExceptionFound })
		})
	}
	Rank(all)
	return all
}

// Rank sorts findings: what is worst first, then what names a cause before what
// only says that nothing works, then the newest.
func Rank(all []vpn.Finding) {
	slices.SortStableFunc(all, func(a, b vpn.Finding) int {
		return cmp.Or(cmp.Compare(severity(a), severity(b)), cmp.Compare(vagueness(a), vagueness(b)), b.At.Compare(a.At))
	})
}

func severity(f vpn.Finding) int {
	return slices.Index([]vpn.Severity{vpn.Critical, vpn.Warn, vpn.Normal}, f.Severity)
}

func vagueness(f vpn.Finding) int { return slices.Index(vague, f.Code) }
