package service

import (
	"context"
	"fmt"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
	"causeway/internal/vpn"
	"causeway/internal/vpn/diagnose"
)

// VPNDiagnosis is what is wrong with an IPsec connection.
type VPNDiagnosis struct {
	Connection string
	State      resource.State
	Findings   []vpn.Finding // the worst first, then what names a cause
	Sources    []string      // what was looked at, in sentences
}

// DiagnoseVPN says what is wrong with an IPsec connection, from all that is
// known of it: what its gateway concluded from strongSwan, what PoPs see of it
// on the wire, its parameters, and those of its other end where that is ours. Live returns what a PoP reported last, as
// JSON; nil where that is not known.
func (s *Service) DiagnoseVPN(ctx context.Context, call Call, ref string, live func(pop string) []byte) (VPNDiagnosis, error) {
	var none VPNDiagnosis
	if err := auth.Authorize(call.Caller, "DiagnoseVPN"); err != nil {
		return none, err
	}
	v, err := s.view(ctx)
	if err != nil {
		return none, err
	}
	c, err := v.connection(ref)
	if err != nil {
		return none, err
	}
	status := v.ipsecConnection(c)
	opened, err := s.opened(*c) // a weak key is found, too
	if err != nil {
		return none, s.refusal("DiagnoseVPN", err)
	}
	d := VPNDiagnosis{Connection: c.Name, State: status.State, Findings: append(v.findingsOf(c), v.World.Around().Lint(&opened)...)}
	d.Sources = append(d.Sources, "the connection's parameters")
	switch state, reason := v.gatewayState(c.VPNGateway); {
	case state == resource.Unmanaged:
		d.Sources = append(d.Sources, fmt.Sprintf("not VPN gateway %q: no agent runs there", c.VPNGateway))
	case state != "":
		d.Sources = append(d.Sources, "what was heard last from its gateway: "+reason)
	default:
		d.Sources = append(d.Sources, fmt.Sprintf("VPN gateway %q: its strongSwan's log and states", c.VPNGateway))
	}
	pair, source, err := s.bothEnds(v, c)
	if err != nil {
		return none, s.refusal("DiagnoseVPN", err)
	}
	if source != "" {
		d.Sources = append(d.Sources, source)
	}
	seen, sources := v.seenByPoPs(c, live)
	d.Findings, d.Sources = diagnose.Merge(d.Findings, pair, seen), append(d.Sources, sources...)
	return d, nil
}
