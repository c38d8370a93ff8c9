package swan

import (
	"strings"

	"causeway/internal/vpn"
)

// ikeProposals writes proposals as charon reads them: aes256-sha256-modp2048.
func ikeProposals(k vpn.IKE) []string {
	var all []string
	for _, p := range k.Proposals {
		parts := []string{p.Encryption}
		if p.Integrity != "" {
			parts = append(parts, p.Integrity)
		}
		// Left out where the integrity algorithm's hash is meant (always so in IKEv1).
		if p.PRF != "" && p.PRF != p.Integrity && k.Version != 1 {
			parts = append(parts, "prf"+p.PRF)
		}
		all = append(all, strings.Join(append(parts, group(p.DH)...), "-"))
	}
	return all
}

func espProposals(e vpn.ESP) []string {
	var all []string
	for _, p := range e.Proposals {
		parts := []string{p.Encryption}
		if p.Integrity != "" {
			parts = append(parts, p.Integrity)
		}
		all = append(all, strings.Join(append(parts, group(p.DH)...), "-"))
	}
	return all
}

func group(number int) []string {
	if g, ok := vpn.GroupOf(number); ok {
		return []string{g.Name}
	}
	return nil
}
